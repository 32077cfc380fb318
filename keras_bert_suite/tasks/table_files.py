"""Reads the rows of TSV, CSV and JSON files, with a place and a reason for each that is bad.

All are UTF-8 (a byte order mark is ignored) and chosen by the file's ending:
  .tsv, .txt   a header, then one row a line, columns parted by tabs. A quotation mark is an
           ordinary character, as in the files of GLUE, SNLI and MRPC (csv.QUOTE_NONE).
  .csv     a header, then rows as RFC 4180 has them: a field in quotation marks may hold commas,
           line ends and doubled quotation marks. Where the header has no comma, semicolons part
           the columns, or else tabs.
  .jsonl, .ndjson, .json   one JSON object a line; a .json file may be one list of objects.
Blank lines are passed over. Tables without a header: `tasks/table_headers.py`. A folder is what
Hugging Face's `datasets` saved (`tasks/dataset_folders.py`).
"""

from __future__ import annotations

import csv
import dataclasses
import io
import math
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.tasks import dataset_folders, json_objects, table_headers
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.json_objects import shortened

JSON_ENDINGS = (".jsonl", ".ndjson", ".json")
_TABBED = (".tsv", ".txt")
_ENDINGS = (*_TABBED, ".csv", *JSON_ENDINGS)


@dataclasses.dataclass(frozen=True)
class Row:
    """One row: the line where it begins, from 1, and its values by column name.

    The values of TSV and CSV are strings, those of JSON lines any JSON value.
    """

    line: int
    values: dict[str, Any]


def read_rows(
    path: str | Path, *, bad_rows: BadRows, named: Sequence[str | None] = ()
) -> Iterator[Row]:
    """Gives the rows of a file in order; a row that cannot be read goes to `bad_rows`.

    Args:
      path: the file.
      bad_rows: what takes bad rows.
      named: columns that were told, which may be numbers where a table has no header.

    Raises:
      ValueError: another ending, no rows that can be read, a header with one name twice, or a bad
        row that `bad_rows` does not skip.
      OSError: the file cannot be opened.
    """
    path = Path(path)
    if path.is_dir():
        yield from (Row(number, values) for number, values in dataset_folders.read_rows(path))
        return
    if path.suffix.lower() not in _ENDINGS:
        raise ValueError(
            f"{path}: a file's ending tells its format and must be one of {', '.join(_ENDINGS)}. "
            f"Received: {path.suffix or 'no ending'}."
        )
    # Bytes that are not UTF-8 become lone surrogates here and are found row by row below.
    text = path.read_bytes().decode("utf-8", errors="surrogateescape").removeprefix("\ufeff")
    if path.suffix.lower() == ".csv":
        rows = _table(path, _csv_records(path, text, bad_rows), bad_rows, named)
    elif path.suffix.lower() in _TABBED:
        records = ((line, row.split("\t")) for line, row in _lines(text))
        rows = _table(path, records, bad_rows, named)
    else:
        rows = _json_rows(path, text, bad_rows)
    empty = True
    for row in rows:
        empty = False
        yield row
    if empty:
        raise ValueError(f"{path}: the file {'has no rows' if text.strip() else 'is empty'}.")


def text_value(values: Mapping[str, Any], column: str) -> str:
    """The text in a column.

    Raises:
      ValueError: no such column, not a string, nothing but white space, or not valid Unicode.
    """
    value = column_value(values, column)
    if not isinstance(value, str):
        raise ValueError(f"column {column!r} must hold a string. Received: {shortened(value)}")
    if not value.strip():
        raise ValueError(f"the text in column {column!r} is empty.")
    check_unicode(value, f"the text in column {column!r}")
    return value


def label_value(values: Mapping[str, Any], column: str) -> str:
    """The label in a column, without white space around it; a whole number as its digits.

    Raises:
      ValueError: no such column, neither string nor whole number, empty, or not valid Unicode.
    """
    value = column_value(values, column)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    if not isinstance(value, str):
        raise ValueError(
            f"column {column!r} must hold a label: a string or a whole number. "
            f"Received: {shortened(value)}"
        )
    if not value.strip():
        raise ValueError(f"the label in column {column!r} is empty.")
    check_unicode(value, f"the label in column {column!r}")
    return value.strip()


def number_value(values: Mapping[str, Any], column: str) -> float:
    """The number in a column.

    Raises:
      ValueError: no such column, or no finite number.
    """
    value = column_value(values, column)
    try:
        number = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not math.isfinite(number):
        raise ValueError(f"column {column!r} must hold a number. Received: {shortened(value)}")
    return number


def labels_value(values: Mapping[str, Any], column: str, *, separator: str) -> tuple[str, ...]:
    """The labels in a column: a list of a JSON line, or the parts of a string; each once.

    Raises:
      ValueError: no such column, another type, or a label that is empty.
    """
    value = column_value(values, column)
    parts = value.split(separator) if isinstance(value, str) and value.strip() else value
    parts = [] if isinstance(parts, str) else parts
    if not isinstance(parts, list):
        raise ValueError(
            f"column {column!r} must hold a list of labels. Received: {shortened(value)}"
        )
    names = [label_value({column: part}, column) for part in parts]
    return tuple(dict.fromkeys(names))


def columns_of(rows: Iterable[Row]) -> list[str]:
    """The names of all columns, as they come; objects of JSON lines may lack some."""
    return list(dict.fromkeys(column for row in rows for column in row.values))


def missing_columns(path: str | Path, wanted: Sequence[str], present: Sequence[str]) -> str:
    """The message for a file whose header lacks columns."""
    absent = [repr(column) for column in wanted if column not in present]
    return (
        f"{path}, line 1: no column {' or '.join(absent)}. The file has: "
        f"{', '.join(map(repr, present))}. Other names are told by --text_column, --text_a_column "
        "with --text_b_column, and --label_column; of a table without a header they are numbers, 0 "
        "for the first."
    )


def _table(
    path: Path,
    records: Iterator[tuple[int, list[str]]],
    bad_rows: BadRows,
    named: Sequence[str | None],
) -> Iterator[Row]:
    header: list[str] = []
    for line, record in records:
        if not header:
            header = table_headers.of_a_table_without(record, named)
            if not header:
                header = _checked_header(path, line, record)
                continue
        if len(record) != len(header):
            bad_rows.add(
                path,
                line,
                f"{len(record)} column{'s' * (len(record) != 1)} where the first row has "
                f"{len(header)}.",
            )
        elif reason := not_utf8(record):
            bad_rows.add(path, line, reason)
        else:
            yield Row(line, dict(zip(header, record, strict=True)))


def _checked_header(path: Path, line: int, header: list[str]) -> list[str]:
    if reason := not_utf8(header):
        raise ValueError(f"{path}, line {line}: {reason}")
    twice = sorted({name for name in header if name and header.count(name) > 1})
    if twice:
        raise ValueError(
            f"{path}, line {line}: the header names {', '.join(map(repr, twice))} more than once."
        )
    return header


def _csv_records(path: Path, text: str, bad_rows: BadRows) -> Iterator[tuple[int, list[str]]]:
    csv.field_size_limit(sys.maxsize)  # the default refuses texts beyond 131,072 characters
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_separator(text), strict=True)
    while True:
        line = reader.line_num + 1
        try:
            record = next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            bad_rows.add(path, line, f"not CSV: {error}. A quotation mark may be out of place.")
            continue
        if record:
            yield line, record


def _separator(text: str) -> str:
    """What parts the columns: the first of comma, semicolon and tab that parts the header."""
    for separator in ",;\t":
        try:
            reader = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
            header = next((record for record in reader if record), [])
        except csv.Error:
            continue  # '"a;b";c' is no header that commas part
        if len(header) > 1:
            return separator
    return ","


def _lines(text: str) -> Iterator[tuple[int, str]]:
    # Only line feeds part lines: str.splitlines would also cut at U+2028 or a form feed in a text.
    for number, line in enumerate(text.split("\n"), start=1):
        line = line.removesuffix("\r")
        if line:
            yield number, line


def _json_rows(path: Path, text: str, bad_rows: BadRows) -> Iterator[Row]:
    if path.suffix.lower() == ".json" and json_objects.is_list(text):
        for number, line in _lines(text):
            if reason := not_utf8([line]):
                raise ValueError(f"{path}, line {number}: {reason}")
        objects = json_objects.of_list(path, text, bad_rows)
    else:
        objects = json_objects.of_lines(path, _utf8_lines(path, text, bad_rows), bad_rows)
    yield from (Row(line, values) for line, values in objects)


def _utf8_lines(path: Path, text: str, bad_rows: BadRows) -> Iterator[tuple[int, str]]:
    for number, line in _lines(text):
        if reason := not_utf8([line]):
            bad_rows.add(path, number, reason)
        else:
            yield number, line


def column_value(values: Mapping[str, Any], column: str) -> Any:
    """What stands in a column, of any type.

    Raises:
      ValueError: no such column.
    """
    if column not in values:
        raise ValueError(f"no {column!r}. There is: {', '.join(map(repr, values)) or 'nothing'}.")
    return values[column]


def not_utf8(fields: Sequence[str]) -> str:
    """Why fields that were decoded with surrogateescape are not UTF-8; "" if they are."""
    for field in fields:
        try:
            field.encode("utf-8")
        except UnicodeEncodeError as error:
            byte = ord(field[error.start]) - 0xDC00
            return f"byte 0x{byte:02x} is not UTF-8. Save the file as UTF-8."
    return ""


def check_unicode(text: str, what: str) -> None:
    """Raises ValueError if the text, which messages call `what`, has a lone surrogate."""
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise ValueError(
            f"{what} has half of a surrogate pair (\\u{ord(text[error.start]):04x}), "
            "which is no character."
        ) from error
