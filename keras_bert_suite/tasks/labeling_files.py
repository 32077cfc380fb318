"""Reads sentences whose words have tags, with a place and a reason for each that is bad.

All files are UTF-8 (a byte order mark is ignored); the ending tells the format:
  .conllu   CoNLL-U: ten columns parted by tabs; lines of multiword tokens (3-4) and of empty nodes
            (3.1) are passed over, comments (#) too. Columns have names: FORM, UPOS, XPOS, ...
  .jsonl, .ndjson, .json   one JSON object a line: a list of words and a list of as many tags
  any other   a word and its tags a line in columns, as CoNLL-2000, CoNLL-2003 and WNUT have them.
            Columns are parted by tabs, or where the first line has none, by spaces; they are told
            by number (0 the first, -1 the last) or, where the first line is a header, by name.
            Lines of -DOCSTART- are passed over, and comments: in a file with tabs lines without one
            that begin with #, in any file those that begin with "# " and are not parted into
            columns as words are, and CoNLL-2012's "#begin document".
Blank lines part sentences. A sentence with a bad line is bad as a whole.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

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


def read_sentences(
    path: str | Path,
    *,
    word_column: str | None,
    tag_column: str | None,
    bad_rows: BadRows,
    labels: Sequence[str] = (),
) -> list[Sentence]:
    """Gives the sentences of a file in order; what cannot be read goes to `bad_rows`.

    Args:
      path: the file.
      word_column, tag_column: names or numbers; None takes FORM and UPOS of CoNLL-U, "tokens" and
        "tags" of JSON lines, the first and the last column of any other.
      bad_rows: takes bad lines.
      labels: what whole numbers in JSON lines stand for, where they are no labels themselves.

    Raises:
      ValueError: no sentences, no such column, one column for words and tags, or a bad line that
        `bad_rows` does not skip.
      OSError: the file cannot be opened.
    """
    path = Path(path)
    ending = path.suffix.lower()
    if ending in table_files.JSON_ENDINGS or path.is_dir():
        columns = (word_column or "tokens", tag_column or "tags")
        sentences = list(_of_objects(path, *columns, labels, bad_rows))
    else:
        lines = _Lines(path, is_conllu=ending == ".conllu")
        sentences = list(lines.sentences(word_column, tag_column, bad_rows))
    if not sentences:
        raise ValueError(f"{path}: there are no sentences in it that can be used.")
    return sentences


def _of_objects(
    path: Path, word_column: str, tag_column: str, labels: Sequence[str], bad_rows: BadRows
) -> Iterator[Sentence]:
    for row in table_files.read_rows(path, bad_rows=bad_rows):
        try:
            for column in (word_column, tag_column):
                if column not in row.values:
                    present = ", ".join(map(repr, row.values)) or "nothing"
                    raise ValueError(
                        f"no {column!r}. There is: {present}. --word_column and --tag_column name "
                        "the words and the tags."
                    )
            words = words_value(row.values, word_column)
            tags = _tags_value(row.values, tag_column, labels)
            if len(words) != len(tags):
                raise ValueError(
                    f"{len(words)} words in {word_column!r} and {len(tags)} tags in {tag_column!r}."
                )
        except ValueError as error:
            bad_rows.add(path, row.line, str(error))
        else:
            yield Sentence(row.line, words, tags)


def words_value(values: dict[str, Any], column: str) -> tuple[str, ...]:
    """The words in a column of a JSON object.

    Raises:
      ValueError: no such column, no list of strings, an empty list, or not valid Unicode.
    """
    words = table_files.column_value(values, column)
    if not isinstance(words, list) or not all(isinstance(word, str) for word in words):
        raise ValueError(f"column {column!r} must hold a list of words, each a string.")
    if not words:
        raise ValueError(f"column {column!r} has no words.")
    for word in words:
        table_files.check_unicode(word, f"a word in column {column!r}")
    return tuple(words)


def _tags_value(values: dict[str, Any], column: str, labels: Sequence[str]) -> tuple[str, ...]:
    tags = table_files.column_value(values, column)
    if not isinstance(tags, list):
        raise ValueError(f"column {column!r} must hold a list of tags.")
    named = []
    for tag in tags:
        if isinstance(tag, int) and not isinstance(tag, bool):
            is_id = str(tag) not in labels and 0 <= tag < len(labels)
            tag = labels[tag] if is_id else str(tag)
        if not isinstance(tag, str) or not tag.strip():
            raise ValueError(
                f"a tag in column {column!r} must be a string or a whole number. Received: {tag!r}."
            )
        table_files.check_unicode(tag, f"a tag in column {column!r}")
        named.append(tag)
    return tuple(named)


def read_scored(
    predictions_file: str | Path,
    data_file: str | Path | None,
    *,
    word_column: str | None,
    tag_column: str | None,
) -> tuple[list[tuple[str, ...]], list[tuple[str, ...]]]:
    """The gold and the predicted tags of each sentence, to be scored.

    Args:
      predictions_file: columns; the last is the predicted tag, the one before it the gold tag.
      data_file: where it is given and another file, the gold tags are this file's.
      word_column, tag_column: of data_file.

    Raises:
      ValueError: what `read_sentences` raises, or the files' sentences do not match.
    """
    found = read_sentences(predictions_file, word_column=None, tag_column="-1", bad_rows=BadRows())
    if data_file is None or Path(data_file).resolve() == Path(predictions_file).resolve():
        data_file, word_column, tag_column = predictions_file, None, "-2"
    gold = read_sentences(
        data_file, word_column=word_column, tag_column=tag_column, bad_rows=BadRows()
    )
    for one, other in zip(gold, found, strict=False):
        if len(one.words) != len(other.words):
            raise ValueError(
                f"{predictions_file}, line {other.line}: the sentence that begins here has "
                f"{len(other.words)} words, that of {data_file}, line {one.line}, has "
                f"{len(one.words)}."
            )
    if len(gold) != len(found):
        raise ValueError(
            f"{predictions_file} has {len(found)} sentences, {data_file} has {len(gold)}."
        )
    return [sentence.tags for sentence in gold], [sentence.tags for sentence in found]


class _Lines:
    """A file with a word a line."""

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
        self, word_column: str | None, tag_column: str | None, bad_rows: BadRows
    ) -> Iterator[Sentence]:
        first, names = self._header(word_column, tag_column)
        word_place = self._place(word_column, names, default="FORM" if self.is_conllu else "0")
        tag_place = self._place(tag_column, names, default="UPOS" if self.is_conllu else "-1")
        if word_place == tag_place and any(map(self._counts, self.lines)):
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
