"""Which short examples share a row: lengths -> rows, a pure function of its arguments."""

from __future__ import annotations

import itertools

import numpy as np

# Examples that are packed among themselves: enough to fill rows well, few enough that neighbours in
# the shuffled order stay near each other's place.
_WINDOW = 8192


def pack_rows(
    lengths: np.ndarray, *, capacity: int, max_items: int
) -> tuple[np.ndarray, np.ndarray]:
    """Fills rows with items: the longest first, each into the fullest row that has room for it.

    Args:
      lengths: int [items], each in 1..capacity.
      capacity: the sum of lengths that a row holds.
      max_items: items that a row holds at most.

    Returns:
      (order, bounds): int64 [items], the items row after row; int64 [rows + 1], row r holds
      order[bounds[r] : bounds[r + 1]].

    Raises:
      ValueError: a length out of range, or max_items below 1.

    Source: best-fit decreasing, Johnson et al. 1974, "Worst-case performance bounds for simple
    one-dimensional packing algorithms", SIAM J. Comput. 3(4): at most 11/9 of the fewest rows
    possible (+ 4), if max_items does not bind.
    """
    lengths = np.asarray(lengths, np.int64)
    if max_items < 1:
        raise ValueError(f"A row must hold at least 1 example. Received: {max_items}.")
    if len(lengths) and (lengths.min() < 1 or lengths.max() > capacity):
        raise ValueError(
            f"Packed examples must have 1 to {capacity} tokens. Received: {lengths.min()} to "
            f"{lengths.max()}."
        )
    by_length = np.argsort(-lengths, kind="stable")
    rows: list[list[int]] = []
    with_room: list[list[int]] = [[] for _ in range(capacity + 1)]  # rows by what fits in
    rooms = 0  # bit r is set where with_room[r] has a row
    for item, length in zip(by_length.tolist(), lengths[by_length].tolist(), strict=True):
        fitting = rooms >> length
        if fitting:
            room = length + (fitting & -fitting).bit_length() - 1  # the lowest bit
            row = with_room[room].pop()
            if not with_room[room]:
                rooms ^= 1 << room
        else:
            room, row = capacity, len(rows)
            rows.append([])
        rows[row].append(item)
        room -= length
        if room and len(rows[row]) < max_items:
            with_room[room].append(row)
            rooms |= 1 << room
    order = np.array([item for row in rows for item in row], np.int64)
    return order, np.cumsum([0, *map(len, rows)], dtype=np.int64)


def pack_in_order(
    order: np.ndarray,
    lengths: np.ndarray,
    *,
    capacity: int,
    max_items: int,
    rng: np.random.Generator | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Packs windows of `order` one after the other; the rows of a window in random order.

    Args:
      order: int64 [items], a permutation.
      lengths: int [items], by item (not in the order of `order`).
      capacity, max_items: see `pack_rows`.
      rng: of the order of the rows; None keeps that of `pack_rows`.

    Returns:
      (order, bounds) as `pack_rows`.
    """
    rows: list[np.ndarray] = []
    for window in np.array_split(order, max(1, round(len(order) / _WINDOW))):
        packed, bounds = pack_rows(lengths[window], capacity=capacity, max_items=max_items)
        items = window[packed]
        found = [items[first:end] for first, end in itertools.pairwise(bounds.tolist())]
        places = range(len(found)) if rng is None else rng.permutation(len(found))
        rows.extend(found[place] for place in places)
    bounds = np.cumsum([0, *map(len, rows)], dtype=np.int64)
    return np.concatenate([np.zeros([0], np.int64), *rows]), bounds


def most_in_a_row(amounts: np.ndarray, *, capacity: int, max_items: int) -> int:
    """Gives the largest sum of amounts that any row can hold.

    Args:
      amounts: int [capacity + 1], the largest amount of an item of length 0, 1, ..., capacity;
        entry 0 is not read.
      capacity, max_items: see `pack_rows`.
    """
    most = np.zeros([capacity + 1], np.int64)  # in rows with 0, 1, ... of the capacity used
    for _ in range(min(max_items, capacity)):
        more = most.copy()
        for length in range(1, capacity + 1):
            with_one = most[: capacity + 1 - length] + amounts[length]
            np.maximum(more[length:], with_one, out=more[length:])
        if (more == most).all():
            break
        most = more
    return int(most.max())
