"""The inputs of a request as a command line tells them."""

from __future__ import annotations

import json
from collections.abc import Sequence


def query_inputs(
    *,
    text: Sequence[str],
    text_a: Sequence[str],
    text_b: Sequence[str],
    task: Sequence[str],
    inputs: str | None,
) -> dict[str, list]:
    """Returns name -> values, one a row.

    Args:
      text, text_a, text_b: the texts, or the pairs of texts.
      task: names of tasks for the signature `mixed`: none, one for all texts, or one a text.
      inputs: instead, all inputs as JSON.

    Raises:
      ValueError: a mixture of these, numbers that do not fit, or no JSON object of lists.
    """
    if sum([bool(text), bool(text_a or text_b), inputs is not None]) != 1:
        raise ValueError("Ask with one of --text, --text_a with --text_b, or --inputs.")
    if inputs is not None:
        if task:
            raise ValueError("--task goes with texts; --inputs has all inputs, also task.")
        return _from_json(inputs)
    if len(text_a) != len(text_b):
        raise ValueError(
            "--text_a and --text_b make pairs and must be given equally often. "
            f"Received: {len(text_a)} and {len(text_b)}."
        )
    texts = {"text": list(text)} if text else {"text_a": list(text_a), "text_b": list(text_b)}
    count = len(text or text_a)
    tasks = [*task] * count if len(task) == 1 else [*task]
    if tasks and len(tasks) != count:
        raise ValueError(
            f"--task must be given once, or as often as the texts: {count}. Received: {len(tasks)}."
        )
    return {**texts, "task": tasks} if tasks else texts


def _from_json(text: str) -> dict[str, list]:
    try:
        inputs = json.loads(text)
    except ValueError as error:
        raise ValueError(f"--inputs must be JSON: {error}") from error
    if not isinstance(inputs, dict) or not all(isinstance(v, list) for v in inputs.values()):
        raise ValueError("--inputs must be a JSON object of lists, name -> values.")
    return inputs
