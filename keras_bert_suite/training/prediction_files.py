"""Answers to files and streams: records in, each with its prediction out, in the same order."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.json_objects import parse_line
from keras_bert_suite.training.prediction import Predictor


def predict_lines(
    predictor: Predictor,
    lines: Iterable[bytes],
    *,
    source: str,
    lines_at_a_time: int,
    bad_rows: BadRows | None = None,
) -> Iterator[dict[str, Any]]:
    """Answers JSON lines: each object with its own fields and a "prediction".

    Args:
      predictor: the model.
      lines: UTF-8; blank ones are passed over.
      source: what messages call the input.
      lines_at_a_time: so many are read before they are answered together, sorted by length.
      bad_rows: takes lines that cannot be answered; None stops at the first.

    Raises:
      ValueError: source, line number and reason of the first line that cannot be answered, unless
        `bad_rows` skips.
    """
    bad_rows = BadRows() if bad_rows is None else bad_rows
    records = _records_of_lines(lines, source, bad_rows)
    return _answers(predictor, records, source, lines_at_a_time, bad_rows)


def predict_file(
    predictor: Predictor, path: str | Path, *, lines_at_a_time: int, bad_rows: BadRows
) -> Iterator[dict[str, Any]]:
    """Answers a file of JSON lines, or one of the formats that the task learns from.

    The latter needs no targets. Arguments, answers and errors are those of `predict_lines`.
    """
    path = Path(path)
    if not _has_json_lines(path):
        records = predictor.task.records(path, bad_rows=bad_rows)
        yield from _answers(predictor, records, str(path), lines_at_a_time, bad_rows)
        return
    with path.open("rb") as lines:
        records = _records_of_lines(lines, str(path), bad_rows)
        yield from _answers(predictor, records, str(path), lines_at_a_time, bad_rows)


def _has_json_lines(path: Path) -> bool:
    """Whether a file has an object a line, and is neither a table nor one large object."""
    if path.suffix.lower() in (".jsonl", ".ndjson") or not (path.is_file() or path.is_dir()):
        return True  # what is no regular file, a pipe, can be read but once
    if path.is_dir():
        return False
    with path.open("rb") as lines:
        first = next((line for _, line in _numbered(lines)), b"")
    try:
        # SQuAD's JSON may be one line too.
        return not isinstance(parse_line(first.decode("utf-8")).get("data"), list)
    except ValueError:
        return False


def _numbered(lines: Iterable[bytes]) -> Iterator[tuple[int, bytes]]:
    """The lines that are not blank with their numbers, without the first's byte order mark."""
    for number, line in enumerate(lines, start=1):
        line = line.removeprefix(codecs.BOM_UTF8) if number == 1 else line
        if line.strip():
            yield number, line


def _records_of_lines(
    lines: Iterable[bytes], source: str, bad_rows: BadRows
) -> Iterator[tuple[int, dict[str, Any]]]:
    for number, line in _numbered(lines):
        try:
            yield number, parse_line(line.decode("utf-8"))
        except UnicodeDecodeError as error:
            bad_rows.add(source, number, f"byte 0x{line[error.start]:02x} is not UTF-8.")
        except ValueError as error:
            bad_rows.add(source, number, str(error))


def _answers(
    predictor: Predictor,
    records: Iterable[tuple[int | str, dict[str, Any]]],
    source: str,
    lines_at_a_time: int,
    bad_rows: BadRows,
) -> Iterator[dict[str, Any]]:
    good, examples = [], []
    for place, record in records:
        try:
            example = predictor.task.example(record)
        except ValueError as error:
            bad_rows.add(source, place, str(error))
            continue
        good.append(record)
        examples.append(example)
        if len(good) == lines_at_a_time:
            yield from _answered(predictor, good, examples)
            good, examples = [], []
    if good:
        yield from _answered(predictor, good, examples)


def _answered(
    predictor: Predictor, records: Sequence[dict[str, Any]], examples: Sequence[Any]
) -> Iterator[dict[str, Any]]:
    for record, answer in zip(records, predictor.predict(examples), strict=True):
        yield record | {"prediction": answer}
