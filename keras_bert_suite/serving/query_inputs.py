"""The inputs of requests as a command line tells them."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from keras_bert_suite.tasks.json_objects import parse_line

# Inputs that flags tell, by those that go together.
TEXTS = (("text",), ("text_a", "text_b"), ("question", "context"))
_ASK = (
    "Ask with one of --text, --text_a with --text_b, --question with --context, --input, or "
    "--inputs."
)
_ROWS = 128


def query_parts(
    texts: Mapping[str, Sequence[str]],
    *,
    task: Sequence[str],
    inputs: str | None,
    file: str | None,
) -> Iterator[dict[str, list]]:
    """Yields the inputs of one request after the other; arguments and errors of `query_inputs`.

    Args:
      file: instead, a file of JSON lines, see `line_inputs`; "-" is stdin.

    Raises:
      OSError: the file cannot be read.
    """
    if file is None:
        return iter([query_inputs(texts, task=task, inputs=inputs)])
    if inputs is not None or any(texts.values()):
        raise ValueError(_ASK)
    return _of_file(file, task)


def query_inputs(
    texts: Mapping[str, Sequence[str]], *, task: Sequence[str], inputs: str | None
) -> dict[str, list]:
    """Returns name -> values, one a row.

    Args:
      texts: of TEXTS, the values that were given, maybe none. One context is that of all questions.
      task: names of tasks for the signature `mixed`: none, one for all texts, or one a text.
      inputs: instead, all inputs as JSON.

    Raises:
      ValueError: a mixture of these, numbers that do not fit, or no JSON object of lists.
    """
    asked = [names for names in TEXTS if any(texts.get(name) for name in names)]
    if len(asked) + (inputs is not None) != 1:
        raise ValueError(_ASK)
    if inputs is not None:
        if task:
            raise ValueError("--task goes with texts; --inputs has all inputs, also task.")
        return _from_json(inputs)
    columns = {name: list(texts.get(name, ())) for name in asked[0]}
    first, *second = columns
    count = len(columns[first])
    if len(columns.get("context", ())) == 1:
        columns["context"] *= count
    for name in second:
        if len(columns[name]) != count:
            raise ValueError(
                f"--{first} and --{name} make pairs and must be given equally often. "
                f"Received: {count} and {len(texts.get(name, ()))}."
            )
    tasks = [*task] * count if len(task) == 1 else [*task]
    if tasks and len(tasks) != count:
        raise ValueError(
            f"--task must be given once, or as often as the texts: {count}. Received: {len(tasks)}."
        )
    return {**columns, "task": tasks} if tasks else columns


def line_inputs(
    lines: Iterable[bytes], *, source: str, task: Sequence[str], rows: int
) -> Iterator[dict[str, list]]:
    """Yields the inputs that JSON lines hold, name -> values, so many lines at a time.

    Args:
      lines: UTF-8, each an object with the inputs of one row; blank ones are passed over.
      source: what messages call them.
      task: the name of the task of all lines, for the signature `mixed`, or none.
      rows: lines of a part.

    Raises:
      ValueError: several tasks; source, number and reason of the first line that is no such object
        or has other inputs than those before it.
    """
    if len(task) > 1:
        raise ValueError(
            "--task with --input is one for all lines; otherwise each line has its own, as the "
            f'field "task". Received: {len(task)}.'
        )
    shared = {"task": task[0]} if task else {}
    names: list[str] = []
    part: list[dict[str, Any]] = []
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = parse_line(line.decode("utf-8")) | shared
            names = names or list(row)
            if not row or set(row) != set(names):
                raise ValueError(
                    f"every line must have the same inputs, at least one. Received: {sorted(row)}, "
                    f"before: {sorted(names)}"
                )
        except UnicodeDecodeError as error:
            reason = f"byte 0x{line[error.start]:02x} is not UTF-8."
            raise ValueError(f"{source}, line {number}: {reason}") from error
        except ValueError as error:
            raise ValueError(f"{source}, line {number}: {error}") from error
        part.append(row)
        if len(part) == rows:
            yield _columns(part)
            part = []
    if part:
        yield _columns(part)


def _of_file(file: str, task: Sequence[str]) -> Iterator[dict[str, list]]:
    if file == "-":
        yield from line_inputs(sys.stdin.buffer, source="stdin", task=task, rows=_ROWS)
        return
    with open(file, "rb") as lines:
        yield from line_inputs(lines, source=file, task=task, rows=_ROWS)


def _columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    return {name: [row[name] for row in rows] for name in rows[0]}


def _from_json(text: str) -> dict[str, list]:
    try:
        inputs = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--inputs must be JSON: {error}") from error
    if not isinstance(inputs, dict) or not all(isinstance(v, list) for v in inputs.values()):
        raise ValueError("--inputs must be a JSON object of lists, name -> values.")
    return inputs
