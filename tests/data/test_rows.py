"""The layout of rows, by hand."""

import numpy as np

from keras_bert_suite.data.example_plan import ExamplePlan
from keras_bert_suite.data.rows import RowLayout
from keras_bert_suite.data.shard_groups import PlannedGroup

CLS, SEP, PAD = 2, 3, 0


def _group(ranges, labels=None, *, shift=0):
    """Tokens 10, 11, 12, ...; ranges [a_start, a_end, b_start, b_end]; keys 100, 101, ..."""
    columns = np.array(ranges, np.int64).T
    plan = ExamplePlan(
        tokens=np.arange(10 + shift, 30 + shift, dtype=np.int32),
        a_starts=columns[0],
        a_ends=columns[1],
        b_starts=columns[2],
        b_ends=columns[3],
        labels={key: np.array(value, np.int32) for key, value in (labels or {}).items()},
    )
    order = np.arange(len(ranges))
    return PlannedGroup(plan=plan, order=order, keys=100 + order + shift)


def _layout(*objectives, static_length=None):
    return RowLayout(
        cls_id=CLS, sep_id=SEP, pad_id=PAD, objectives=objectives, static_length=static_length
    )


def test_pairs():
    group = _group([[0, 2, 5, 6], [3, 4, 4, 8]], {"nsp": [1, 0]})
    batch = _layout("mlm", "nsp").batch([(group, np.array([0, 1]))])
    expected = {
        "token_ids": [
            [CLS, 10, 11, SEP, 15, SEP, PAD, PAD],
            [CLS, 13, SEP, 14, 15, 16, 17, SEP],
        ],
        "segment_ids": [[0, 0, 0, 0, 1, 1, 0, 0], [0, 0, 0, 1, 1, 1, 1, 1]],
        "padding_mask": [[1, 1, 1, 1, 1, 1, 0, 0], [1] * 8],
        "lengths": [6, 8],
        "keys": [100, 101],
        "next_sentence_labels": [1, 0],
    }
    assert {key: value.tolist() for key, value in batch.items()} == expected
    assert {v.dtype.name for k, v in batch.items() if k != "keys"} == {"int32"}


def test_single_segments_of_two_groups_at_a_static_length():
    first, second = _group([[0, 3, 3, 3]]), _group([[1, 2, 2, 2]], shift=100)
    runs = [(first, np.array([0])), (second, np.array([0]))]
    batch = _layout("mlm", static_length=6).batch(runs)
    expected = {
        "token_ids": [[CLS, 10, 11, 12, SEP, PAD], [CLS, 111, SEP, PAD, PAD, PAD]],
        "segment_ids": [[0] * 6, [0] * 6],
        "padding_mask": [[1, 1, 1, 1, 1, 0], [1, 1, 1, 0, 0, 0]],
        "lengths": [5, 3],
        "keys": [100, 200],
    }
    assert {key: value.tolist() for key, value in batch.items()} == expected


def test_a_label_that_is_not_asked_has_weight_0():
    # The second row has one segment.
    group = _group([[0, 2, 5, 6], [3, 4, 4, 4]], {"nsp": [1, -1], "sop": [-1, -1]})
    layout = _layout("mlm", "nsp", "sop")
    batch = layout.batch([(group, np.array([1, 0]))])
    assert batch["token_ids"].tolist() == [
        [CLS, 13, SEP, PAD, PAD, PAD],
        [CLS, 10, 11, SEP, 15, SEP],
    ]
    assert batch["lengths"].tolist() == [3, 6]
    expected = {
        "next_sentence_labels": [0, 1],
        "next_sentence_weights": [0, 1],
        "sentence_order_labels": [0, 0],
        "sentence_order_weights": [0, 0],
    }
    assert {key: batch[key].tolist() for key in layout.label_dtypes} == expected
    assert {key: batch[key].dtype for key in expected} == layout.label_dtypes
    assert _layout("mlm", "nsp").label_dtypes == {"next_sentence_labels": np.int32}
