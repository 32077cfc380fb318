"""Stages of a run: first many steps of short rows, then a few of long ones. Imports no TensorFlow.

Attention costs the square of a row's length, and most of what BERT learns fits in short rows:
Devlin et al. 2018 (arXiv:1810.04805, A.2) train 90 % of the steps at length 128, the rest at 512.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence


@dataclasses.dataclass(frozen=True)
class Stage:
    """A part of a run: `num_steps` optimizer steps of `global_batch_size` rows."""

    sequence_length: int
    global_batch_size: int
    num_steps: int


def parse_stages(
    texts: Sequence[str], *, global_batch_size: int, num_steps: int
) -> tuple[Stage, ...]:
    """Gives the stages that LENGTH:SHARE or LENGTH:SHARE:ROWS describe.

    Args:
      texts: "128:0.9", "512:0.1" and the like; SHARE is of the steps.
      global_batch_size: rows of a step of the first stage. The others have as many tokens, unless
        ROWS says otherwise.
      num_steps: of the whole run. The ends of the stages are rounded to whole steps.

    Raises:
      ValueError: another form, shares that do not add up to 1, a stage without a step, or tokens
        that are no whole number of rows.
    """
    parsed = [_parsed(text) for text in texts]
    total = sum(share for _, share, _ in parsed)
    if abs(total - 1) > 1e-6:
        raise ValueError(
            f"The shares of --stages must add up to 1. Received: {','.join(texts)}, {total:g} in "
            "all."
        )
    stages, begun, reached = [], 0, 0.0
    for length, share, rows in parsed:
        reached += share
        end = round(reached * num_steps)
        if end == begun:
            raise ValueError(
                f"Every stage must have a step. Received: {','.join(texts)} with "
                f"num_steps={num_steps}."
            )
        rows = rows or _rows_of(length, tokens=global_batch_size * parsed[0][0])
        stages.append(Stage(length, rows, end - begun))
        begun = end
    return tuple(stages)


def _parsed(text: str) -> tuple[int, float, int | None]:
    parts = text.split(":")
    try:
        length, share = int(parts[0]), float(parts[1])
        rows = int(parts[2]) if len(parts) == 3 else None
        valid = len(parts) <= 3 and length > 0 and 0 < share <= 1 and (rows is None or rows > 0)
    except (ValueError, IndexError):
        valid = False
    if not valid:
        raise ValueError(
            "--stages must be LENGTH:SHARE or LENGTH:SHARE:ROWS, separated by commas, with a share "
            f"of the steps in (0, 1], such as 128:0.9,512:0.1. Received: {text!r}."
        )
    return length, share, rows


def _rows_of(length: int, *, tokens: int) -> int:
    if tokens % length:
        raise ValueError(
            f"A stage must have the tokens of the first, {tokens} a step, in whole rows. Received: "
            f"rows of {length}. Remedy: say how many rows, {length}:SHARE:"
            f"{max(1, round(tokens / length))} for instance."
        )
    return tokens // length
