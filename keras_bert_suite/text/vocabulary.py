"""Vocabularies: reading and checking `vocab.txt`, the special tokens, the continuation mark."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

# In the order in which a newly trained vocabulary begins.
SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
CONTINUATION_MARK = "##"


def read_vocabulary(path: str | os.PathLike) -> list[str]:
    """The entries of a `vocab.txt`, one a line, in order; an entry's id is its line number - 1.

    Lines end at LF or CRLF only: other characters that Unicode calls line ends may be entries.

    Raises:
      ValueError: no such file, empty, not UTF-8, an empty line, duplicate entries or a special
        token missing; the message names the file, the line and the remedy.
    """
    path = Path(path)
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        raise ValueError(
            f"There is no vocabulary file {path}. Make one with bin/make_vocabulary.py or name the "
            "directory that has one."
        ) from None
    except IsADirectoryError:
        raise ValueError(
            f"A vocabulary is a file with one entry a line; {path} is a directory."
        ) from None
    if not content.strip():
        raise ValueError(
            f"The vocabulary file {path} is empty. Make one with bin/make_vocabulary.py."
        )
    lines = content.removesuffix(b"\n").split(b"\n")
    vocabulary = [_entry(line, path, number) for number, line in enumerate(lines, 1)]
    check_vocabulary(vocabulary, source=str(path))
    return vocabulary


def check_vocabulary(vocabulary: Sequence[str], *, source: str) -> None:
    """Raises ValueError unless the entries fit in lines, differ and have the special tokens.

    Args:
      vocabulary: entries in the order of their ids.
      source: what the message calls the vocabulary, a path for a file.
    """
    first_line: dict[str, int] = {}
    for line, token in enumerate(vocabulary, 1):
        if not token or token.endswith("\r") or "\n" in token:
            raise ValueError(
                "An entry of a vocabulary is a line of a file: not empty, without a line end. "
                f"Got in {source}, line {line}: {token!r}"
            )
        if token in first_line:
            raise ValueError(
                f"Every entry of a vocabulary must be there once, and {source} has {token!r} on "
                f"lines {first_line[token]} and {line}. Rename one of the two, to [unused-1] say: "
                "the ids of the others stay."
            )
        first_line[token] = line
    missing = [token for token in SPECIAL_TOKENS if token not in first_line]
    if missing:
        raise ValueError(
            f"BERT needs the special tokens {' '.join(SPECIAL_TOKENS)}, and {source} has no "
            f"{' '.join(missing)}. If this is the vocabulary of a BERT model, the file is damaged: "
            "fetch it again; otherwise make one with bin/make_vocabulary.py."
        )


def _entry(line: bytes, path: Path, number: int) -> str:
    try:
        token = line.removesuffix(b"\r").decode("utf-8")
    except UnicodeDecodeError as error:
        raise ValueError(
            f"A vocabulary must be UTF-8, and {path}, line {number} is not: {error.reason} at byte "
            f"{error.start + 1} of the line. Convert the file, with iconv for example."
        ) from None
    if not token:
        raise ValueError(
            f"Every line of a vocabulary must hold an entry, and {path}, line {number} is empty. "
            "An id is a line number: put the lost entry back."
        )
    return token
