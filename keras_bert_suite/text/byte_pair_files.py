"""The files of a byte-level BPE tokenizer (RoBERTa's), in Hugging Face's layout."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.files import atomic_write
from keras_bert_suite.text import special_tokens
from keras_bert_suite.text.json_files import read_json, write_json
from keras_bert_suite.text.tokenizer_files import CONFIG_FILE, FAST_FILE, SPECIAL_TOKENS_FILE

VOCABULARY_FILE = "vocab.json"
MERGES_FILE = "merges.txt"
ADDED_FILE = "added_tokens.json"

SPECIAL_TOKENS = dict(
    zip(special_tokens.ROLES, ("<pad>", "<unk>", "<s>", "</s>", "<mask>"), strict=True)
)
_HEADER = "#version: 0.2\n"
# Parts of a tokenizer.json that change the pieces and have no counterpart here.
_PLAIN_MODEL = {
    "dropout": (None, 0, 0.0),
    "continuing_subword_prefix": (None, ""),
    "end_of_word_suffix": (None, ""),
    "byte_fallback": (None, False),
    "ignore_merges": (None, False),
}


def read(directory: str | os.PathLike) -> dict[str, Any]:
    """The arguments of `BytePairTokenizer` that a directory holds.

    Returns:
      vocabulary (list of str, in the order of their ids), merges (list of pairs of str),
      add_prefix_space and special_tokens. vocab.json and merges.txt go before tokenizer.json.

    Raises:
      ValueError: no vocabulary there, a damaged file, or another kind of BPE.
    """
    directory = Path(directory)
    config = read_json(directory / CONFIG_FILE)
    special = read_json(directory / SPECIAL_TOKENS_FILE)
    path = directory / VOCABULARY_FILE
    prefix = None
    if path.exists():
        vocabulary = read_json(path)
        merges = _read_merges(directory / MERGES_FILE)
        added = read_json(directory / ADDED_FILE)
    else:
        path = directory / FAST_FILE
        vocabulary, merges, added, prefix = _read_fast(path)
    if config.get("add_prefix_space") is not None:
        prefix = config["add_prefix_space"]
    added = {**_added_in_config(config, directory / CONFIG_FILE), **added}
    return {
        "vocabulary": _in_order(vocabulary, added, path),
        "merges": merges,
        "add_prefix_space": bool(prefix),
        "special_tokens": special_tokens.names(
            SPECIAL_TOKENS,
            (directory / SPECIAL_TOKENS_FILE, special),
            (directory / CONFIG_FILE, config),
        ),
    }


def write(
    directory: str | os.PathLike,
    *,
    vocabulary: Sequence[str],
    merges: Sequence[tuple[str, str]],
    add_prefix_space: bool,
    special_tokens: Mapping[str, str],
    max_length: int,
) -> None:
    """Writes the four files; each appears complete or not at all."""
    directory = Path(directory)
    names = {
        "bos_token": special_tokens["cls_token"],
        "eos_token": special_tokens["sep_token"],
        **special_tokens,
    }
    config = {
        "tokenizer_class": "RobertaTokenizer",
        "add_prefix_space": add_prefix_space,
        "trim_offsets": True,
        "model_max_length": max_length,
        **names,
    }
    write_json(directory / CONFIG_FILE, config)
    write_json(directory / SPECIAL_TOKENS_FILE, names)
    with atomic_write(directory / MERGES_FILE, newline="\n") as file:
        file.write(_HEADER)
        file.writelines(f"{left} {right}\n" for left, right in merges)
    # Last: a directory without it is seen to be incomplete.
    with atomic_write(directory / VOCABULARY_FILE) as file:
        json.dump({token: i for i, token in enumerate(vocabulary)}, file, ensure_ascii=False)


def _read_merges(path: Path) -> list[tuple[str, str]]:
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except FileNotFoundError:
        raise ValueError(
            f"Byte-level BPE needs {VOCABULARY_FILE} and {MERGES_FILE}; there is no {path}. "
            "Fetch it from where the vocabulary came from."
        ) from None
    except IsADirectoryError:
        raise ValueError(f"{path} must be a file of merges, and it is a directory.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None
    merges = []
    for number, line in enumerate(lines, 1):
        line = line.removesuffix("\r")
        if not line or (number == 1 and line.startswith("#version")):
            continue
        merges.append(_pair(line, f"{path}, line {number}"))
    return merges


def _pair(merge: Any, where: str) -> tuple[str, str]:
    """A merge from "left right" or [left, right]."""
    parts = merge.split(" ") if isinstance(merge, str) else merge
    if (
        not isinstance(parts, list)
        or len(parts) != 2
        or not all(isinstance(part, str) and part for part in parts)
    ):
        raise ValueError(f"A merge is two pieces with a space between. Got in {where}: {merge!r}")
    return parts[0], parts[1]


def _read_fast(
    path: Path,
) -> tuple[dict[str, Any], list[tuple[str, str]], dict[str, Any], bool | None]:
    """(vocabulary, merges, added tokens, add_prefix_space) of a tokenizer.json."""
    content = read_json(path)
    if not content:
        raise ValueError(
            f"The directory {path.parent} has no vocabulary ({VOCABULARY_FILE} with {MERGES_FILE}, "
            f"or {FAST_FILE}). Name the model's own directory."
        )
    model = content.get("model")
    splitter = content.get("pre_tokenizer")
    if not isinstance(model, dict) or model.get("type") != "BPE":
        raise ValueError(f"{path}: the model must be BPE, as RoBERTa's is.")
    strange = [
        f"{key}={model.get(key)!r}" for key, ok in _PLAIN_MODEL.items() if model.get(key) not in ok
    ]
    if content.get("normalizer") is not None:
        strange.append(f"normalizer {content['normalizer']!r:.60}")
    if not isinstance(splitter, dict) or splitter.get("type") != "ByteLevel":
        strange.append(f"pre_tokenizer {splitter!r:.60}")
    elif splitter.get("use_regex") is False:
        strange.append("pre_tokenizer ByteLevel with use_regex=false")
    if strange:
        raise ValueError(
            "Only byte-level BPE as RoBERTa has it is read here: no normalizer, the pre_tokenizer "
            f"ByteLevel, a plain model. Got in {path}: {'; '.join(strange)}"
        )
    vocabulary, merges = model.get("vocab"), model.get("merges")
    if not isinstance(vocabulary, dict) or not isinstance(merges, list):
        raise ValueError(f"{path}: a BPE model has a vocab and merges, and this one has not.")
    pairs = [_pair(merge, f"{path}, merge {i}") for i, merge in enumerate(merges)]
    return vocabulary, pairs, added_tokens(content, path), splitter.get("add_prefix_space")


def added_tokens(content: Mapping[str, Any], path: Path) -> dict[str, Any]:
    """Token -> id of the "added_tokens" of a tokenizer.json."""
    added = content.get("added_tokens") or []
    if not isinstance(added, list) or not all(
        isinstance(token, dict) and "content" in token and "id" in token for token in added
    ):
        raise ValueError(f"{path}: added_tokens must be objects with content and id.")
    return {token["content"]: token["id"] for token in added}


def _added_in_config(config: Mapping[str, Any], path: Path) -> dict[str, Any]:
    added = config.get("added_tokens_decoder") or {}
    try:
        return {token["content"]: int(number) for number, token in added.items()}
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: added_tokens_decoder must be ids with content.") from None


def _in_order(vocabulary: Mapping[str, Any], added: Mapping[str, Any], path: Path) -> list[str]:
    ids = {**added, **vocabulary}
    if not vocabulary or not all(type(number) is int for number in ids.values()):
        raise ValueError(f"{path} must give each entry of the vocabulary its id, an integer.")
    tokens = sorted(ids, key=ids.__getitem__)
    if [ids[token] for token in tokens] != list(range(len(tokens))):
        raise ValueError(
            f"The ids of a vocabulary must be 0, 1, 2, ... without gaps; those of {path} are not."
        )
    return tokens
