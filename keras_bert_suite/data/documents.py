"""Documents and their sentences: the text side of the pre-training data."""

from __future__ import annotations

import glob
import hashlib
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

SENTENCE_MODES = ("split", "split_lines", "lines")
# A document longer than this is handed on in parts, so that a file without blank lines does not
# fill the memory. All parts keep the identity of the first.
PART_CHARACTERS = 1 << 20


@dataclass(frozen=True, kw_only=True)
class Document:
    """A document, or one part of a very long one.

    Attributes:
      path: the file it stands in.
      file: the file's place among the input files.
      line: number of its first line there (of its row in a parquet file), from 1.
      paragraphs: its text without blank lines. A text file gives one entry a line; JSON text,
        parquet text and whole files one entry a line too, with "" between paragraphs (`joined` is
        True).
      joined: the lines of a paragraph belong together (hard-wrapped text), "" separates paragraphs.
      digest: 16 bytes of BLAKE2b over the text (of the first part), so that the same text has the
        same identity in every run, file and order.
      whole: 16 bytes of BLAKE2b over the text up to the end of this part.
      first: False for the second and later parts of a long document.
    """

    path: str
    line: int
    paragraphs: tuple[str, ...]
    joined: bool
    digest: bytes
    whole: bytes
    file: int = 0
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
        return sum(map(len, self.paragraphs))


def document_parts(
    lines: Iterable[tuple[int, str]], *, path: str, file: int, joined: bool
) -> Iterator[Document]:
    """Gives one document, in parts of PART_CHARACTERS where it is longer.

    Args:
      lines: (line number, stripped text) of this document alone.
      path, file, joined: see `Document`.
    """
    collected: list[str] = []
    start, size = 0, 0
    digest: bytes | None = None
    running = hashlib.blake2b(digest_size=16)

    def part() -> Document:
        nonlocal digest
        first = digest is None
        running.update((("" if first else "\n") + "\n".join(collected)).encode("utf-8"))
        whole = running.digest()
        digest = digest or whole
        return Document(
            path=path,
            file=file,
            line=start,
            paragraphs=tuple(collected),
            joined=joined,
            digest=digest,
            whole=whole,
            first=first,
        )

    for number, line in lines:
        if not collected:
            start = number
        collected.append(line)
        size += len(line)
        if size >= PART_CHARACTERS:
            yield part()
            collected, size = [], 0
    if collected:
        yield part()


def document_of_lines(
    lines: list[str], *, line: int, path: str, file: int, joined: bool
) -> Iterator[Document]:
    """As `document_parts`, much quicker for a document that needs no parts.

    Args:
      lines: stripped, all of this document.
      line: number of the first.
      path, file, joined: see `Document`.
    """
    if sum(map(len, lines)) >= PART_CHARACTERS:
        numbered = enumerate(lines, start=line)
        yield from document_parts(numbered, path=path, file=file, joined=joined)
        return
    digest = hashlib.blake2b("\n".join(lines).encode("utf-8"), digest_size=16).digest()
    yield Document(
        path=path,
        file=file,
        line=line,
        paragraphs=tuple(lines),
        joined=joined,
        digest=digest,
        whole=digest,
    )


def expand_files(pattern: str, *, directories: bool = False) -> list[str]:
    """Gives the sorted files of a glob (several globs are separated by commas; `**` works).

    Args:
      pattern: the globs.
      directories: whether a directory stands for all files below it, but for those whose name
        begins with a dot.

    Raises:
      ValueError: a pattern matches no file.
    """
    files: set[str] = set()
    for part in pattern.split(","):
        found: list[str] = []
        for path in glob.glob(part.strip(), recursive=True):
            if os.path.isfile(path):
                found.append(path)
            elif directories and "**" not in part:
                found.extend(_files_below(path))
        if not found:
            raise ValueError(
                f"No file matches the pattern. Received: {part.strip()!r} (working directory "
                f"{os.getcwd()}). Remedy: check the path and quote the pattern, so that the "
                "shell does not expand it."
            )
        files.update(found)
    return sorted(files)


def _files_below(directory: str) -> Iterator[str]:
    for folder, folders, names in os.walk(directory):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (os.path.join(folder, name) for name in names if not name.startswith("."))


def sentences_of(
    document: Document, *, mode: str, split: Callable[[str], Sequence[str]] | None = None
) -> list[str]:
    """Gives the sentences of a document.

    Args:
      document: the document.
      mode: "lines": every line is a sentence; "split": every paragraph goes through `split`, the
        lines of hard-wrapped text joined before; "split_lines": every line goes through `split`.
      split: text -> sentences; needed for "split" and "split_lines".

    Raises:
      ValueError: unknown mode.
    """
    if mode == "lines":
        return [line for line in document.paragraphs if line]
    if mode not in SENTENCE_MODES or split is None:
        raise ValueError(
            f"sentences must be one of {', '.join(SENTENCE_MODES)}. Received: {mode!r}."
        )
    joined = document.joined and mode == "split"
    sentences: list[str] = []
    for paragraph in _joined_paragraphs(document) if joined else document.paragraphs:
        if paragraph:
            sentences.extend(s for s in (piece.strip() for piece in split(paragraph)) if s)
    return sentences


def _joined_paragraphs(document: Document) -> Iterator[str]:
    collected: list[str] = []
    for line in (*document.paragraphs, ""):
        if line:
            collected.append(line)
        elif collected:
            yield " ".join(collected)
            collected = []
