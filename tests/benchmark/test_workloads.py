"""Lengths, masked words and packed rows."""

import numpy as np
import pytest

from keras_bert_suite.benchmark import workloads


def test_lengths_are_those_of_real_texts():
    lengths = workloads.natural_lengths(1000)
    assert np.median(lengths) == pytest.approx(30, abs=1)
    assert (lengths.min(), lengths.max()) == (4, 128)
    # What a batch padded to 128 computes for nothing: well over half.
    assert 0.3 < lengths.mean() / 128 < 0.4
    assert np.array_equal(lengths, workloads.natural_lengths(1000))
    assert not np.array_equal(lengths, np.sort(lengths))


def test_rows_are_framed_and_padded():
    batch = workloads.token_batch([4, 6], vocab_size=2000)
    assert batch["padding_mask"].tolist() == [[1, 1, 1, 1, 0, 0], [1] * 6]
    assert batch["token_ids"][0, [0, 3, 4, 5]].tolist() == [101, 102, 0, 0]
    assert batch["token_ids"][1, 5] == 102
    assert (batch["token_ids"][1, 1:5] >= 1000).all()


def test_masked_words_are_words_of_the_row():
    lengths = [20, 40, 4]
    plain = workloads.token_batch(lengths, vocab_size=2000, seed=3)
    masked = workloads.masked_batch(lengths, vocab_size=2000, seed=3)
    # 15 % of 20, 40 and 4
    assert masked["prediction_weights"].sum(1).tolist() == [3, 6, 1]
    for row, count in enumerate([3, 6, 1]):
        positions = masked["prediction_positions"][row, :count]
        words = masked["prediction_ids"][row, :count]
        assert len(set(positions)) == count
        assert np.array_equal(plain["token_ids"][row, positions], words)
        assert (masked["token_ids"][row, positions] == 103).all()
        assert ((words >= 1000) & (positions > 0) & (positions < lengths[row] - 1)).all()


def test_packed_rows_hold_the_same_examples():
    lengths = workloads.natural_lengths(12, longest=32)
    batch = workloads.masked_batch(lengths, vocab_size=2000)
    packed = workloads.packed(batch, length=32)
    assert packed["padding_mask"].sum() == lengths.sum()
    assert len(packed["token_ids"]) < len(lengths)
    assert np.array_equal(packed["row_ids"] > 0, packed["padding_mask"] > 0)

    found, expected = [], []
    for row in range(len(packed["token_ids"])):
        count = int(packed["prediction_weights"][row].sum())
        places = packed["prediction_positions"][row, :count]
        for number in range(1, packed["row_ids"][row].max() + 1):
            own = packed["row_ids"][row] == number
            assert packed["position_ids"][row, own].tolist() == list(range(own.sum()))
            here = own[places]
            found.append(
                (
                    tuple(packed["token_ids"][row, own].tolist()),
                    tuple((places[here] - np.flatnonzero(own)[0]).tolist()),
                    tuple(packed["prediction_ids"][row, :count][here].tolist()),
                )
            )
    for row, length in enumerate(lengths):
        count = int(batch["prediction_weights"][row].sum())
        expected.append(
            (
                tuple(batch["token_ids"][row, :length].tolist()),
                tuple(batch["prediction_positions"][row, :count].tolist()),
                tuple(batch["prediction_ids"][row, :count].tolist()),
            )
        )
    assert sorted(found) == sorted(expected)
