"""The columns of TSV and CSV files without a header."""

from __future__ import annotations

import re
from collections.abc import Sequence

_NUMBER = re.compile(r"-?\d{1,4}")
# GLUE's CoLA: where the sentence is from, 1 = acceptable, the author's own mark.
_COLA = ("source", "label", "mark", "sentence")


def of_a_table_without(record: Sequence[str], named: Sequence[str | None]) -> list[str]:
    """The names of the columns if the first row of a table is no header; otherwise none.

    It is none where all columns that were told are numbers, and the row does not have them as
    names; the columns are then called by number, 0 the first and -1 the last. Neither is the first
    row of GLUE's CoLA.

    Args:
      record: the first row.
      named: the columns that were told; None for one that was not.
    """
    told = [name for name in named if name is not None]
    if told and not set(told) <= set(record) and all(map(_NUMBER.fullmatch, told)):
        header = [str(index) for index in range(len(record))]
        for name in told:
            if -len(record) <= int(name) < 0:
                header[int(name)] = name
        return header
    is_cola = len(record) == len(_COLA) and record[1] in ("0", "1") and record[2] in ("", "*")
    return list(_COLA) if is_cola else []
