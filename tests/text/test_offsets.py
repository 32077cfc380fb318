from __future__ import annotations

import pytest
import tensorflow as tf

from keras_bert_suite.text.normalization import Normalizer
from keras_bert_suite.text.offsets import character_offsets


def offsets(text, *spans):
    """Characters of the original for bytes [start, end) of the normalised text."""
    normalizer = Normalizer(lowercase=True, strip_accents=True)
    # A row before and one after: bytes must be counted from the row's own start.
    texts = tf.constant(["É before", text, "after"])
    starts, ends = (
        tf.RaggedTensor.from_row_lengths([0, *column, 0], [1, len(spans), 1])
        for column in zip(*[(s, e) for s, e in spans], strict=True)
    )
    ends = ends.with_flat_values(tf.maximum(ends.flat_values, 1))
    found = character_offsets(
        texts, starts, ends, normalized=normalizer(texts), normalizer=normalizer
    )
    rows = [ragged.to_list() for ragged in found]
    assert [row[0] for row in rows] == [[0], [1]]
    assert [row[2] for row in rows] == [[0], [1]]
    return list(zip(rows[0][1], rows[1][1], strict=True))


@pytest.mark.parametrize(
    ("text", "spans", "expected"),
    [
        ("plain", [(0, 5), (2, 3)], [(0, 5), (2, 3)]),
        # A curly quote has 3 bytes.
        ("“a” b", [(0, 3), (3, 4), (8, 9)], [(0, 1), (1, 2), (4, 5)]),
        # The accent belongs to the piece it stands inside of, not to the one it ends.
        ("ca\u0301fe\u0301 x", [(0, 4), (5, 6)], [(0, 5), (7, 8)]),
        # One syllable leaves three letters of 3 bytes.
        ("한a", [(0, 3), (3, 9), (9, 10)], [(0, 1), (0, 1), (1, 2)]),
        # Deleted: a soft hyphen, a zero width space.
        ("\u00ada\u200bb", [(0, 1), (1, 2), (0, 2)], [(1, 2), (3, 4), (1, 4)]),
        # Two malformed sequences count as one character each.
        (b"\xff\xe4\xbda", [(0, 1)], [(2, 3)]),
    ],
)
def test_by_hand(text, spans, expected):
    assert offsets(text, *spans) == expected
