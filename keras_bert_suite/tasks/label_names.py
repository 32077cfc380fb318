"""The names of a task's labels: their order, and how messages tell them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

MOST_SHOWN = 12


def in_order(labels: Iterable[str]) -> tuple[str, ...]:
    """Each label once, sorted; as numbers where all are whole numbers, so that 2 precedes 10."""
    found = sorted(set(labels))
    try:
        return tuple(sorted(found, key=int))
    except ValueError:
        return tuple(found)


def known(labels: Sequence[str]) -> str:
    """A sentence that names the labels, not too many of them."""
    shown = ", ".join(map(repr, labels[:MOST_SHOWN]))
    more = len(labels) - MOST_SHOWN
    return (
        f"Known: {shown}{f' and {more} more' if more > 0 else ''}. "
        "Labels that the training file lacks are learnt where --labels names them all."
    )
