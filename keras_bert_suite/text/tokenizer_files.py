"""The files of a WordPiece tokenizer in a model directory, in Hugging Face's layout."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.files import atomic_write
from keras_bert_suite.text.json_files import read_json, write_json
from keras_bert_suite.text.special_tokens import ROLES
from keras_bert_suite.text.vocabulary import (
    CONTINUATION_MARK,
    SPECIAL_TOKENS,
    check_vocabulary,
    read_vocabulary,
)

VOCABULARY_FILE = "vocab.txt"
CONFIG_FILE = "tokenizer_config.json"
SPECIAL_TOKENS_FILE = "special_tokens_map.json"
FAST_FILE = "tokenizer.json"

_ROLES = dict(zip(ROLES, SPECIAL_TOKENS, strict=True))
# Our options, by their keys in tokenizer_config.json and in the normalizer of tokenizer.json.
_OPTIONS = {
    "lowercase": ("do_lower_case", "lowercase"),
    "strip_accents": ("strip_accents", "strip_accents"),
    "split_cjk": ("tokenize_chinese_chars", "handle_chinese_chars"),
}


def read(directory: str | os.PathLike) -> tuple[list[str], dict[str, Any]]:
    """Vocabulary and options of the tokenizer in `directory`.

    Returns:
      (vocabulary, options): entries in the order of their ids; those keyword arguments of
      `WordPieceTokenizer` that the files set. tokenizer_config.json goes before tokenizer.json.

    Raises:
      ValueError: no vocabulary there, a damaged file, another tokenizer than BERT's.
    """
    directory = Path(directory)
    config = read_json(directory / CONFIG_FILE)
    special = read_json(directory / SPECIAL_TOKENS_FILE)
    fast = read_json(directory / FAST_FILE)
    _check_options(config, directory / CONFIG_FILE)
    _check_special_tokens(config, directory / CONFIG_FILE)
    _check_special_tokens(special, directory / SPECIAL_TOKENS_FILE)
    if (directory / VOCABULARY_FILE).exists():
        vocabulary = read_vocabulary(directory / VOCABULARY_FILE)
    elif fast:
        vocabulary = _vocabulary_of(fast, directory / FAST_FILE)
    else:
        raise ValueError(
            f"The directory {directory} has no vocabulary ({VOCABULARY_FILE}, or {FAST_FILE}). "
            "Make one with bin/make_vocabulary.py or name the model's own directory."
        )
    return vocabulary, _options(config, fast)


def write(
    directory: str | os.PathLike,
    vocabulary: Sequence[str],
    *,
    lowercase: bool,
    strip_accents: bool,
    split_cjk: bool,
    max_length: int,
) -> None:
    """Writes the three files; each appears complete or not at all."""
    directory = Path(directory)
    config = {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": lowercase,
        "strip_accents": None if strip_accents == lowercase else strip_accents,
        "tokenize_chinese_chars": split_cjk,
        "model_max_length": max_length,
        **_ROLES,
    }
    write_json(directory / CONFIG_FILE, config)
    write_json(directory / SPECIAL_TOKENS_FILE, _ROLES)
    # Last: a directory without it is seen to be incomplete. Entries end at LF alone.
    with atomic_write(directory / VOCABULARY_FILE, newline="\n") as file:
        file.writelines(f"{token}\n" for token in vocabulary)


def _options(config: dict[str, Any], fast: dict[str, Any]) -> dict[str, Any]:
    normalizer = fast.get("normalizer") or {}
    if normalizer.get("type") != "BertNormalizer":
        normalizer = {}
    options = {}
    for name, (config_key, normalizer_key) in _OPTIONS.items():
        value = config.get(config_key)
        if value is None:
            value = normalizer.get(normalizer_key)
        if value is not None:
            options[name] = value
    return options


def _vocabulary_of(fast: dict[str, Any], path: Path) -> list[str]:
    model = fast.get("model") or {}
    found = (model.get("type"), model.get("continuing_subword_prefix"))
    normalizer = (fast.get("normalizer") or {}).get("type")
    splitter = (fast.get("pre_tokenizer") or {}).get("type")
    if (*found, normalizer, splitter) != (
        "WordPiece",
        CONTINUATION_MARK,
        "BertNormalizer",
        "BertPreTokenizer",
    ):
        raise ValueError(
            "Only WordPiece with BertNormalizer, BertPreTokenizer and the prefix "
            f"{CONTINUATION_MARK!r} is BERT's tokenizer. Got in {path}: model {found[0]} with "
            f"prefix {found[1]!r}, normalizer {normalizer}, pre_tokenizer {splitter}"
        )
    ids = dict(model["vocab"])
    for added in fast.get("added_tokens") or ():
        ids.setdefault(added["content"], added["id"])
    vocabulary = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in vocabulary] != list(range(len(vocabulary))):
        raise ValueError(
            f"The ids of a vocabulary must be 0, 1, 2, ... without gaps; those of {path} are not."
        )
    check_vocabulary(vocabulary, source=str(path))
    return vocabulary


def _check_options(config: dict[str, Any], path: Path) -> None:
    if config.get("do_basic_tokenize") is False or config.get("never_split"):
        raise ValueError(
            "do_basic_tokenize=false and never_split are options of the old Python tokenizer that "
            f"the graph has no counterpart of. Remove them from {path} if the model can do without."
        )


def _check_special_tokens(names: dict[str, Any], path: Path) -> None:
    for role, expected in _ROLES.items():
        found = names.get(role)
        if isinstance(found, dict):
            found = found.get("content")
        if found is not None and found != expected:
            raise ValueError(
                f"BERT's {role} is {expected}. Got in {path}: {found!r}. If the model was trained "
                f"with that name, rename it to {expected} in {path.parent / VOCABULARY_FILE} and "
                "here."
            )
