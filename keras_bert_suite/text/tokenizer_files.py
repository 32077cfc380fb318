"""The tokenizer's files in a model directory, in Hugging Face's layout."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.files import atomic_write
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

_ROLES = dict(
    zip(
        ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"),
        SPECIAL_TOKENS,
        strict=True,
    )
)
# Classes of Hugging Face that split words as BERT's does. Others (BertJapaneseTokenizer, ...) may
# have a vocab.txt too and would give wrong ids silently.
_CLASSES = (
    "BertTokenizer",
    "DistilBertTokenizer",
    "ElectraTokenizer",
    "MobileBertTokenizer",
    "PreTrainedTokenizer",
    "TokenizersBackend",
)
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
      `Tokenizer` that the files set. tokenizer_config.json goes before tokenizer.json.

    Raises:
      ValueError: no such directory, no vocabulary in it, a damaged file, another tokenizer than
        BERT's.
    """
    directory = Path(directory)
    if not directory.is_dir():
        raise ValueError(
            f"A tokenizer is read from a directory that has {VOCABULARY_FILE}; "
            f"there is no directory {directory}."
        )
    config = _read_json(directory / CONFIG_FILE)
    special = _read_json(directory / SPECIAL_TOKENS_FILE)
    fast = _read_json(directory / FAST_FILE)
    _check_class(config, directory / CONFIG_FILE)
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
    _write_json(directory / CONFIG_FILE, config)
    _write_json(directory / SPECIAL_TOKENS_FILE, _ROLES)
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


def _check_class(config: dict[str, Any], path: Path) -> None:
    name = config.get("tokenizer_class")
    if name is not None and name.removesuffix("Fast") not in _CLASSES:
        raise ValueError(
            f"Only BERT's WordPiece tokenizer is read here ({', '.join(_CLASSES)}). "
            f"Got in {path}: tokenizer_class {name!r}"
        )
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


def _read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno} is not JSON: {error.msg}. Repair or remove the file."
        ) from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Got: {type(content).__name__}")
    return content


def _write_json(path: Path, content: dict[str, Any]) -> None:
    with atomic_write(path) as file:
        json.dump(content, file, indent=2)
        file.write("\n")
