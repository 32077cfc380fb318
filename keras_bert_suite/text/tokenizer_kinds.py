"""Which kind of tokenizer a directory holds, and that tokenizer."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from keras_bert_suite.text import byte_pair_files, sentencepiece_files, tokenizer_files
from keras_bert_suite.text.json_files import read_json
from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.text.tokenizer_files import CONFIG_FILE, FAST_FILE

# Classes of Hugging Face by the kind that they are. Others (BertJapaneseTokenizer, ...) may have
# the same files and would give wrong ids silently.
_KIND_OF_CLASS = {
    "BertTokenizer": "WordPiece",
    "DistilBertTokenizer": "WordPiece",
    "ElectraTokenizer": "WordPiece",
    "MobileBertTokenizer": "WordPiece",
    "RobertaTokenizer": "BPE",
    "AlbertTokenizer": "Unigram",
}
# These say nothing about the kind: the files do.
_ANY_KIND = ("PreTrainedTokenizer", "TokenizersBackend")
# By the file that only this kind has.
_KIND_OF_FILE = {
    tokenizer_files.VOCABULARY_FILE: "WordPiece",
    sentencepiece_files.MODEL_FILE: "Unigram",
    byte_pair_files.VOCABULARY_FILE: "BPE",
}


def read(directory: str | os.PathLike, *, lowercase: bool | None = None) -> Tokenizer:
    """The tokenizer of a directory; see `Tokenizer.from_directory`."""
    directory = Path(directory)
    if not directory.is_dir():
        raise ValueError(
            f"A tokenizer is read from a directory that has {_files()}; "
            f"there is no directory {directory}."
        )
    kind = _kind(directory)
    return _READERS[kind](directory, lowercase)


def _kind(directory: Path) -> str:
    config = read_json(directory / CONFIG_FILE)
    name = config.get("tokenizer_class")
    if name is not None:
        plain = str(name).removesuffix("Fast")
        if plain in _KIND_OF_CLASS:
            return _KIND_OF_CLASS[plain]
        if plain not in _ANY_KIND:
            raise ValueError(
                f"Only these tokenizers are read here: {', '.join(_KIND_OF_CLASS)}. "
                f"Got in {directory / CONFIG_FILE}: tokenizer_class {name!r}"
            )
    for file, kind in _KIND_OF_FILE.items():
        if (directory / file).exists():
            return kind
    fast = read_json(directory / FAST_FILE)
    if not fast:
        raise ValueError(
            f"The directory {directory} has no vocabulary ({_files()}). "
            "Make one with bin/make_vocabulary.py or name the model's own directory."
        )
    model = fast.get("model")
    kind = model.get("type") if isinstance(model, dict) else None
    if kind not in _READERS:
        raise ValueError(
            f"The model of a tokenizer must be {', '.join(_READERS)}. "
            f"Got in {directory / FAST_FILE}: {kind!r}"
        )
    return kind


def _files() -> str:
    return (
        f"{tokenizer_files.VOCABULARY_FILE}, {byte_pair_files.VOCABULARY_FILE} with "
        f"{byte_pair_files.MERGES_FILE}, {sentencepiece_files.MODEL_FILE} or {FAST_FILE}"
    )


def _wordpiece(directory: Path, lowercase: bool | None) -> Tokenizer:
    from keras_bert_suite.text.wordpiece_tokenizer import WordPieceTokenizer

    vocabulary, options = tokenizer_files.read(directory)
    if lowercase is not None:
        options["lowercase"] = lowercase
    return WordPieceTokenizer(vocabulary, **options)


def _byte_pair(directory: Path, lowercase: bool | None) -> Tokenizer:
    from keras_bert_suite.text.byte_pair_tokenizer import BytePairTokenizer

    if lowercase:
        raise ValueError(
            f"Byte-level BPE, as in {directory}, never lower-cases: its vocabulary has capitals. "
            "Leave lowercase out, or lower-case the texts."
        )
    options: dict[str, Any] = byte_pair_files.read(directory)
    return BytePairTokenizer(**options)


def _sentencepiece(directory: Path, lowercase: bool | None) -> Tokenizer:
    from keras_bert_suite.text.sentencepiece_tokenizer import SentencePieceTokenizer

    options: dict[str, Any] = sentencepiece_files.read(directory)
    if lowercase is not None:
        options["lowercase"] = lowercase
    return SentencePieceTokenizer(**options)


_READERS: dict[str, Callable[[Path, bool | None], Tokenizer]] = {
    "WordPiece": _wordpiece,
    "BPE": _byte_pair,
    "Unigram": _sentencepiece,
}
