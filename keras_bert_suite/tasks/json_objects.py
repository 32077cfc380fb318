"""The objects of JSON lines and of a JSON list, each with its line, or a reason why it is bad."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from keras_bert_suite.tasks.bad_rows import BadRows

_WHITE_SPACE = " \t\r\n"


def is_list(text: str) -> bool:
    """Whether a file's text begins a list, and not the first of several lines with objects."""
    return text.lstrip(_WHITE_SPACE).startswith("[")


def of_lines(
    path: Path, lines: Iterator[tuple[int, str]], bad_rows: BadRows
) -> Iterator[tuple[int, dict[str, Any]]]:
    """Gives (line, object) of each (line, text) that is not blank."""
    for number, line in lines:
        if not line.strip():
            continue
        try:
            values = parse_line(line)
        except ValueError as error:
            bad_rows.add(path, number, str(error))
            continue
        yield number, values


def of_list(path: Path, text: str, bad_rows: BadRows) -> Iterator[tuple[int, dict[str, Any]]]:
    """Gives (line, object) of each object of a list, as `pandas.DataFrame.to_json` writes it.

    Raises:
      ValueError: not JSON, or an item that is no object and that `bad_rows` does not skip.
    """
    decoder = json.JSONDecoder()
    place = _next(text, _next(text, 0) + 1)
    line, counted = 1, 0
    while text[place : place + 1] != "]":
        line, counted = line + text.count("\n", counted, place), place
        try:
            value, end = decoder.raw_decode(text, place)
        except json.JSONDecodeError as error:
            raise ValueError(f"{path}, line {error.lineno}: not JSON: {error.msg}.") from error
        except RecursionError as error:
            raise ValueError(f"{path}, line {line}: JSON that nests too deep.") from error
        if isinstance(value, dict):
            yield line, value
        else:
            bad_rows.add(path, line, f"must be a JSON object. Received: {value!r}.")
        place = _next(text, end)
        if text[place : place + 1] == ",":
            place = _next(text, place + 1)
        elif text[place : place + 1] != "]":
            end_line = 1 + text.count("\n", 0, place)
            raise ValueError(f"{path}, line {end_line}: not JSON: the list does not go on or end.")


def parse_line(line: str) -> dict[str, Any]:
    """The JSON object of one line.

    Raises:
      ValueError: the reason why there is none.
    """
    try:
        value = json.loads(line)
    except json.JSONDecodeError as error:
        raise ValueError(f"not JSON: {error.msg} at column {error.colno}.") from error
    except RecursionError as error:
        raise ValueError("not JSON that can be read: it nests too deep.") from error
    if not isinstance(value, dict):
        raise ValueError(f"a line must hold a JSON object. Received: {shortened(line)}")
    return value


def shortened(value: Any) -> str:
    """A value as JSON, or a string as it is, for a message."""
    text = value if isinstance(value, str) else json.dumps(value)
    return text if len(text) <= 60 else text[:57] + "..."


def _next(text: str, place: int) -> int:
    """The next place, from this one on, that is no white space."""
    while text[place : place + 1] and text[place] in _WHITE_SPACE:
        place += 1
    return place
