"""Files -> documents -> sentences: the text side of the pre-training data."""

from __future__ import annotations

import glob
import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

SENTENCE_MODES = ("split", "lines")
# A document longer than this is handed on in parts, so that a file without blank lines does not
# fill the memory. All parts keep the identity of the first.
_PART_CHARACTERS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document, or one part of a very long one.

    Attributes:
      path: the file it stands in.
      line: number of its first line there, from 1.
      paragraphs: its text without blank lines. A text file gives one entry a line; JSON text one
        entry a line too, with "" between paragraphs (`joined` is True).
      joined: the lines of a paragraph belong together (hard-wrapped text), "" separates paragraphs.
      digest: 16 bytes of BLAKE2b over the text (of the first part), so that the same text has the
        same identity in every run, file and order.
      first: False for the second and later parts of a long document.
    """

    path: str
    line: int
    paragraphs: tuple[str, ...]
    joined: bool
    digest: bytes
    first: bool = True

    @property
    def document_id(self) -> int:
        """Identity in [0, 2**63); equal texts have equal identities."""
        return int.from_bytes(self.digest[:8], "little") >> 1

    @property
    def held_out_draw(self) -> float:
        """A number in [0, 1), fixed by the text alone: below --eval_fraction means held out."""
        return (int.from_bytes(self.digest[8:], "little") >> 11) / 2.0**53

    @property
    def num_characters(self) -> int:
        return sum(len(paragraph) for paragraph in self.paragraphs)


def expand_files(pattern: str) -> list[str]:
    """Gives the sorted files of a glob (several globs are separated by commas; `**` works).

    Raises:
      ValueError: a pattern matches no file.
    """
    files: set[str] = set()
    for part in pattern.split(","):
        found = [p for p in glob.glob(part.strip(), recursive=True) if os.path.isfile(p)]
        if not found:
            raise ValueError(
                f"No file matches the pattern. Received: {part.strip()!r} (working directory "
                f"{os.getcwd()}). Remedy: check the path and quote the pattern, so that the "
                "shell does not expand it."
            )
        files.update(found)
    return sorted(files)


def read_documents(
    path: str, *, on_bytes: Callable[[int], None] | None = None
) -> Iterator[Document]:
    """Reads the documents of one file, in order, holding one document at a time.

    Text files: a blank line separates documents. `.jsonl` and `.json`: one JSON object a line with
    the text in "text". Either may be gzipped (`.gz`). UTF-8, with or without a byte order mark.

    Args:
      path: the file.
      on_bytes: called with the number of (decompressed) bytes of each line, for progress bars.

    Raises:
      ValueError: the file is empty or has no text, or a line is not UTF-8, not JSON, or lacks a
        string "text"; the message names file and line.
      OSError: the file cannot be opened.
    """
    name = path.removesuffix(".gz")
    lines = _decoded_lines(path, on_bytes)
    is_json = name.endswith((".jsonl", ".json"))
    empty = True
    for document in _json_documents(path, lines) if is_json else _text_documents(path, lines):
        empty = False
        yield document
    if empty:
        raise ValueError(
            f"{path}: the file holds no document. Every input file must hold text. "
            "Remedy: remove the file or leave it out of the pattern."
        )


def sentences_of(
    document: Document, *, mode: str, split: Callable[[str], Sequence[str]] | None = None
) -> list[str]:
    """Gives the sentences of a document.

    Args:
      document: the document.
      mode: "lines": every line is a sentence; "split": every paragraph goes through `split`.
      split: text -> sentences; needed for "split".

    Raises:
      ValueError: unknown mode.
    """
    if mode == "lines":
        return [line for line in document.paragraphs if line]
    if mode != "split" or split is None:
        raise ValueError(
            f"sentences must be one of {', '.join(SENTENCE_MODES)}. Received: {mode!r}."
        )
    sentences: list[str] = []
    for paragraph in _joined_paragraphs(document):
        sentences.extend(s for s in (piece.strip() for piece in split(paragraph)) if s)
    return sentences


def _joined_paragraphs(document: Document) -> Iterator[str]:
    if not document.joined:
        yield from document.paragraphs
        return
    collected: list[str] = []
    for line in (*document.paragraphs, ""):
        if line:
            collected.append(line)
        elif collected:
            yield " ".join(collected)
            collected = []


def _decoded_lines(path: str, on_bytes: Callable[[int], None] | None) -> Iterator[tuple[int, str]]:
    """Gives (line number from 1, text without the line end and surrounding white space)."""
    number = 0
    try:
        with gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb") as stream:
            for number, raw in enumerate(stream, start=1):
                if on_bytes is not None:
                    on_bytes(len(raw))
                if number == 1:
                    raw = raw.removeprefix(b"\xef\xbb\xbf")
                yield number, raw.decode("utf-8").strip()
    except UnicodeDecodeError as error:
        raise ValueError(
            f"{path}, line {number}: the text must be UTF-8. Received: byte "
            f"0x{error.object[error.start]:02x} at column {error.start + 1}. "
            "Remedy: convert the file, for instance with iconv."
        ) from error
    except (gzip.BadGzipFile, EOFError, zlib.error) as error:
        raise ValueError(
            f"{path}, line {number + 1}: the gzip stream is broken ({error}). "
            "Remedy: compress or download the file again."
        ) from error


def _digest(lines: Sequence[str]) -> bytes:
    return hashlib.blake2b("\n".join(lines).encode("utf-8"), digest_size=16).digest()


def _text_documents(path: str, lines: Iterator[tuple[int, str]]) -> Iterator[Document]:
    collected: list[str] = []
    start, size, digest = 0, 0, None
    for number, line in lines:
        if line:
            if not collected:
                start = number
            collected.append(line)
            size += len(line)
        if collected and (not line or size >= _PART_CHARACTERS):
            first = digest is None
            digest = digest or _digest(collected)
            yield _text_document(path, start, collected, digest, first)
            collected, size = [], 0
        if not line:
            digest = None
    if collected:
        yield _text_document(path, start, collected, digest or _digest(collected), digest is None)


def _text_document(path: str, start: int, lines: list[str], digest: bytes, first: bool) -> Document:
    return Document(
        path=path, line=start, paragraphs=tuple(lines), joined=False, digest=digest, first=first
    )


def _json_documents(path: str, lines: Iterator[tuple[int, str]]) -> Iterator[Document]:
    for number, line in lines:
        if not line:
            continue
        try:
            value = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(
                f"{path}, line {number}: every line must be a JSON object. Received: "
                f"{line[:80]!r} ({error.msg} at column {error.colno})."
            ) from error
        if not isinstance(value, dict) or not isinstance(value.get("text"), str):
            keys = sorted(value) if isinstance(value, dict) else type(value).__name__
            raise ValueError(
                f'{path}, line {number}: the object must have a string under "text". '
                f"Received: {keys}."
            )
        paragraphs = tuple(part.strip() for part in value["text"].splitlines())
        yield Document(
            path=path, line=number, paragraphs=paragraphs, joined=True, digest=_digest(paragraphs)
        )
