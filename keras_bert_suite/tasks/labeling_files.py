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

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.word_lines import Sentence, WordLines


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
    if _has_objects(path):
        columns = (word_column or "tokens", tag_column or "tags")
        sentences = list(_of_objects(path, *columns, labels, bad_rows))
    else:
        lines = WordLines(path, is_conllu=path.suffix.lower() == ".conllu")
        sentences = list(lines.sentences(word_column, tag_column, bad_rows))
    if not sentences:
        raise ValueError(f"{path}: there are no sentences in it that can be used.")
    return sentences


def read_records(
    path: str | Path, *, word_column: str | None, tag_column: str | None, bad_rows: BadRows
) -> Iterator[tuple[int, dict[str, Any]]]:
    """(line, object) of each sentence of a file that may have no tags: its words are a list.

    A `tag_column` by name, not by number, tells that the file has a header.

    Raises:
      ValueError: as `read_sentences`.
    """
    path = Path(path)
    if _has_objects(path):
        for row in table_files.read_rows(path, bad_rows=bad_rows):
            yield row.line, row.values
        return
    lines = WordLines(path, is_conllu=path.suffix.lower() == ".conllu")
    for sentence in lines.sentences(word_column, tag_column, bad_rows, tagged=False):
        yield sentence.line, {word_column or "tokens": list(sentence.words)}


def _has_objects(path: Path) -> bool:
    """Whether a file holds JSON objects, or a folder rows, and not a word a line."""
    return path.suffix.lower() in table_files.JSON_ENDINGS or path.is_dir()


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
