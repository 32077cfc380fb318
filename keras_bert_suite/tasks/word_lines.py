"""Sentences of files with a word a line, in columns or as CoNLL-U has them."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator
from pathlib import Path

from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows

_CONLLU = ("ID", "FORM", "LEMMA", "UPOS", "XPOS", "FEATS", "HEAD", "DEPREL", "DEPS", "MISC")
_SPACE = " \t"
_SPACES = re.compile(f"[{_SPACE}]+")
_INTEGER = re.compile(r"-?\d+")
_PARTS = ("#begin document", "#end document")  # of CoNLL-2012
_NO_WORD = re.compile(r"\d+[-.]\d+")  # a multiword token or an empty node
_DOCUMENT = "-DOCSTART-"


@dataclasses.dataclass(frozen=True)
class Sentence:
    """Words with their tags.

    Attributes:
      line: where it begins in the file, from 1.
      words, tags: equally many, at least one.
    """

    line: int
    words: tuple[str, ...]
    tags: tuple[str, ...]


class WordLines:
    """A file with a word a line: `tasks/labeling_files.py` says how.

    Args:
      path: the file.
      is_conllu: whether its columns are those of CoNLL-U.

    Raises:
      OSError: the file cannot be opened.
    """

    def __init__(self, path: Path, *, is_conllu: bool):
        self.path, self.is_conllu = path, is_conllu
        text = path.read_bytes().decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")
        # Only line feeds part lines: str.splitlines would also cut at U+2028 in a word.
        self.lines = [line.removesuffix("\r") for line in text.split("\n")]
        lines = [line for line in self.lines if self._counts(line)]
        first = next((line for line in lines if not line.startswith("#")), [*lines, ""][0])
        self.has_tabs = is_conllu or "\t" in first
        self.width = len(_CONLLU) if is_conllu else len(self._split(first))

    def sentences(
        self,
        word_column: str | None,
        tag_column: str | None,
        bad_rows: BadRows,
        *,
        tagged: bool = True,
    ) -> Iterator[Sentence]:
        """The sentences in order; with `tagged` False the file's tags, if any, are not read.

        Raises:
          ValueError: as `labeling_files.read_sentences`.
        """
        first, names = self._header(word_column, tag_column)
        word_place = self._place(word_column, names, default="FORM" if self.is_conllu else "0")
        tag_place = word_place
        if tagged:
            tag_place = self._place(tag_column, names, default="UPOS" if self.is_conllu else "-1")
        if tagged and word_place == tag_place and any(map(self._counts, self.lines)):
            raise ValueError(
                f"{self.path}: words and tags must be different columns. Received: column "
                f"{word_place} for both, of {self.width}, parted by "
                f"{'tabs' if self.has_tabs else 'spaces'} (--word_column, --tag_column)."
            )
        words: list[str] = []
        tags: list[str] = []
        begin, bad = 0, False
        for number, line in enumerate([*self.lines, ""], start=1):
            if number <= first or not line.strip():
                if words and not bad:
                    yield Sentence(begin, tuple(words), tuple(tags))
                words, tags, bad = [], [], False
                continue
            if bad or self._is_comment(line):
                continue
            columns = self._split(line)
            if line.startswith(_DOCUMENT) or (self.is_conllu and _NO_WORD.fullmatch(columns[0])):
                continue
            reason = self._wrong(columns, word_place, tag_place)
            if reason:
                bad_rows.add(self.path, number, reason)
                bad = True
                continue
            begin = begin if words else number
            words.append(columns[word_place])
            tags.append(columns[tag_place].strip(_SPACE))

    def _wrong(self, columns: list[str], word_place: int, tag_place: int) -> str:
        """What is wrong with a line; "" if nothing."""
        if len(columns) != self.width:
            return (
                f"{len(columns)} column{'s' * (len(columns) != 1)} where the file has "
                f"{self.width}, parted by {'tabs' if self.has_tabs else 'spaces'}."
            )
        if self.is_conllu and not columns[0].isdecimal():
            return f"the ID of a word must be a number. Received: {columns[0]!r}."
        if not columns[tag_place].strip():
            return f"the tag of {columns[word_place]!r} is empty."
        return table_files.not_utf8([columns[word_place], columns[tag_place]])

    def _counts(self, line: str) -> bool:
        comment = line.startswith("#") and "\t" not in line
        return bool(line.strip()) and not comment and not line.startswith(_DOCUMENT)

    def _is_comment(self, line: str) -> bool:
        if self.has_tabs and line.startswith("#") and "\t" not in line:
            return True
        other = len(self._split(line)) != self.width or (not self.has_tabs and "\t" in line)
        return line.startswith(_PARTS) or (line.startswith("# ") and other)

    def _split(self, line: str) -> list[str]:
        return line.split("\t") if self.has_tabs else _SPACES.split(line.strip(_SPACE))

    def _header(self, *columns: str | None) -> tuple[int, list[str]]:
        """(line of the header, names of the columns)."""
        if self.is_conllu:
            return 0, list(_CONLLU)
        if all(column is None or _INTEGER.fullmatch(column) for column in columns):
            return 0, []
        for number, line in enumerate(self.lines, start=1):
            if self._counts(line):
                return number, self._split(line)
        return 0, []

    def _place(self, column: str | None, names: list[str], *, default: str) -> int:
        """The index of a column, from its name or number."""
        column = default if column is None else column
        if column in names:
            return names.index(column)
        if not _INTEGER.fullmatch(column):
            found = ", ".join(map(repr, names)) or "nothing"
            raise ValueError(
                f"{self.path}: no column {column!r}. The file has: {found}. --word_column and "
                "--tag_column name them, or number them: 0 is the first, -1 the last."
            )
        if not -self.width <= int(column) < self.width:
            raise ValueError(
                f"{self.path}: no column {column}. The file has {self.width} columns, 0 to "
                f"{self.width - 1} or -{self.width} to -1 (--word_column, --tag_column)."
            )
        return int(column) % self.width
