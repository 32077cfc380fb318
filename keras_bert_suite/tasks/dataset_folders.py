"""Rows of a folder that Hugging Face's `datasets` wrote (save_to_disk), where that is installed."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any


def read_rows(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    """Gives (number from 1, values by column name) of each row; label ids become their names.

    Raises:
      ValueError: `datasets` is not installed, the folder is none of its own, or it holds several
        splits.
    """
    try:
        datasets: Any = importlib.import_module("datasets")
    except ImportError as error:
        raise ValueError(
            f"{path} is a folder. To read one that Hugging Face's datasets wrote, install that "
            "library: pip install datasets"
        ) from error
    try:
        found = datasets.load_from_disk(str(path))
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ValueError(f"{path} is no folder of datasets.save_to_disk: {reason}") from error
    if isinstance(found, dict):
        splits = ", ".join(str(path / name) for name in found)
        raise ValueError(f"{path} holds several splits; give one of them: {splits}.")
    names = {column: _names(feature) for column, feature in found.features.items()}
    for number, row in enumerate(found, start=1):
        yield number, {column: _named(value, names[column]) for column, value in row.items()}


def _names(feature: Any) -> list[str] | None:
    """The names of a column of label ids, or of lists of them; None for any other."""
    inner = getattr(feature, "feature", feature)
    return getattr(inner, "names", None)


def _named(value: Any, names: list[str] | None) -> Any:
    if names is None or value is None:
        return value
    if isinstance(value, list):
        return [_named(item, names) for item in value]
    # datasets marks a label that is not known by -1; as a name it would become one more label.
    return names[value] if isinstance(value, int) and 0 <= value < len(names) else None
