import itertools

import numpy as np
import pytest

from keras_bert_suite.data.row_packing import most_in_a_row, pack_in_order, pack_rows


def _rows(order, bounds):
    return [order[a:b].tolist() for a, b in itertools.pairwise(bounds.tolist())]


def test_the_longest_first_each_where_it_fits_best():
    # 7 | 6 | then 4 beside 6 (room 4, not 3), 3 beside 7, and 2 opens a row that 2 joins.
    lengths = np.array([2, 7, 3, 6, 4, 2])
    order, bounds = pack_rows(lengths, capacity=10, max_items=9)
    assert _rows(order, bounds) == [[1, 2], [3, 4], [0, 5]]
    # With one place left in each row, the last 2 has none.
    order, bounds = pack_rows(lengths, capacity=20, max_items=2)
    assert _rows(order, bounds) == [[1, 3], [4, 2], [0, 5]]


def test_every_item_once_and_nearly_no_room_left():
    rng = np.random.default_rng(0)
    lengths = np.minimum(128, 3 + rng.geometric(0.04, 20_000))
    order, bounds = pack_rows(lengths, capacity=128, max_items=32)
    assert sorted(order.tolist()) == list(range(20_000))
    rows = [lengths[row] for row in _rows(order, bounds)]
    assert max(row.sum() for row in rows) <= 128 and max(map(len, rows)) <= 32
    assert lengths.sum() / (128 * len(rows)) > 0.995


def test_windows_are_packed_apart_and_their_rows_shuffled(monkeypatch):
    monkeypatch.setattr("keras_bert_suite.data.row_packing._WINDOW", 100)
    rng = np.random.default_rng(1)
    items = rng.permutation(1000)
    lengths = rng.integers(1, 40, 1000)

    def packed(rng):
        return _rows(*pack_in_order(items, lengths, capacity=64, max_items=8, rng=rng))

    rows = packed(np.random.default_rng(2))
    assert sorted(itertools.chain(*rows)) == list(range(1000))
    # The first rows hold the first window, whole.
    seen = list(itertools.chain(*rows))[:100]
    assert set(seen) == set(items[:100].tolist())
    assert rows == packed(np.random.default_rng(2)) != packed(np.random.default_rng(3))
    unshuffled = packed(None)
    assert sorted(unshuffled) == sorted(rows) and unshuffled != rows
    # Shuffled rows are not sorted by their longest item.
    longest = [lengths[row].max() for row in rows[:20]]
    assert longest != sorted(longest, reverse=True)


def test_no_items_make_no_rows():
    none = np.zeros([0], np.int64)
    assert _rows(*pack_in_order(none, none, capacity=8, max_items=2, rng=None)) == []


def test_the_most_in_a_row_is_that_of_the_best_row():
    amounts = np.array([99, 0, 0, 1, 1, 2, 1])
    # 6 cells: 3 + 3 give 2, 5 gives 2. 9 cells: 3 + 3 + 3 give 3, or with two places 5 + 4.
    assert most_in_a_row(amounts, capacity=6, max_items=4) == 2
    longer = np.array([99, 0, 0, 1, 1, 2, 1, 1, 1, 1])
    assert most_in_a_row(longer, capacity=9, max_items=4) == 3
    assert most_in_a_row(longer, capacity=9, max_items=1) == 2
    rng = np.random.default_rng(4)
    amounts = rng.integers(0, 6, 13)
    best = max(
        sum(int(amounts[n]) for n in row)
        for count in range(1, 4)
        for row in itertools.combinations_with_replacement(range(1, 13), count)
        if sum(row) <= 12
    )
    assert most_in_a_row(amounts, capacity=12, max_items=3) == best


def test_what_cannot_be_packed_is_named():
    with pytest.raises(ValueError, match="must have 1 to 8 tokens. Received: 3 to 9"):
        pack_rows(np.array([9, 3]), capacity=8, max_items=2)
    with pytest.raises(ValueError, match="at least 1 example. Received: 0"):
        pack_rows(np.array([3]), capacity=8, max_items=0)
