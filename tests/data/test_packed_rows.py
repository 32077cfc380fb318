"""Packed rows, by hand."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.data.packed_rows import PackedRows

PAD = 9


def _examples():
    """Three examples of 3, 4 and 2 tokens; the first two share a row."""
    return {
        "token_ids": tf.constant([[1, 2, 3, PAD], [4, 5, 6, 7], [1, 8, PAD, PAD]]),
        "segment_ids": tf.constant([[0, 0, 1, 0], [0, 1, 1, 1], [0, 0, 0, 0]]),
        "padding_mask": tf.constant([[1, 1, 1, 0], [1, 1, 1, 1], [1, 1, 0, 0]]),
        "prediction_positions": tf.constant([[1, 0], [0, 3], [0, 0]]),
        "prediction_ids": tf.constant([[20, 0], [21, 22], [0, 0]]),
        "prediction_weights": tf.constant([[1.0, 0.0], [1.0, 1.0], [0.0, 0.0]]),
        "span_left_positions": tf.constant([[0, 0], [2, 2], [0, 0]]),
        "span_distances": tf.constant([[1, 0], [1, 2], [0, 0]]),
        "labels": tf.constant([1, 0, 1]),
        "weights": tf.constant([1.0, 0.0, 1.0]),
        "other_labels": tf.constant([0, 1, 1]),
    }


_LABELS = {"labels": "weights", "other_labels": "other_weights"}


def _pack(**sizes):
    pack = PackedRows(pad_id=PAD, labels=_LABELS, **sizes)
    examples = _examples()
    return pack(
        examples,
        rows=tf.constant([0, 0, 1]),
        starts=tf.constant([0, 3, 0]),
        prediction_keys=[k for k in examples if k.startswith(("prediction", "span"))],
    )


def test_rows_of_the_size_that_the_examples_need():
    expected = {
        "token_ids": [[1, 2, 3, 4, 5, 6, 7], [1, 8, PAD, PAD, PAD, PAD, PAD]],
        "segment_ids": [[0, 0, 1, 0, 1, 1, 1], [0] * 7],
        "padding_mask": [[1] * 7, [1, 1, 0, 0, 0, 0, 0]],
        "position_ids": [[0, 1, 2, 0, 1, 2, 3], [0, 1, 0, 0, 0, 0, 0]],
        "row_ids": [[1, 1, 1, 2, 2, 2, 2], [1, 1, 0, 0, 0, 0, 0]],
        "prediction_positions": [[1, 3, 6], [0, 0, 0]],
        "prediction_ids": [[20, 21, 22], [0, 0, 0]],
        "prediction_weights": [[1, 1, 1], [0, 0, 0]],
        "span_left_positions": [[0, 5, 5], [0, 0, 0]],
        "span_distances": [[1, 1, 2], [0, 0, 0]],
        "cls_positions": [[0, 3], [0, 0]],
        "labels": [[1, 0], [1, 0]],
        "weights": [[1, 0], [1, 0]],
        "other_labels": [[0, 1], [1, 0]],
        "other_weights": [[1, 1], [1, 0]],
    }
    packed = _pack()
    assert {key: value.numpy().tolist() for key, value in packed.items()} == expected
    floats = {key for key, value in packed.items() if value.dtype == tf.float32}
    assert floats == {"prediction_weights", "weights", "other_weights"}


def test_static_sizes_only_add_padding():
    sizes = {"num_rows": 2, "length": 9, "examples": 4, "predictions": 5}
    narrow = _pack()

    @tf.function
    def static():
        packed = _pack(**sizes)
        assert {key: value.shape[0] for key, value in packed.items()} == dict.fromkeys(packed, 2)
        assert packed["row_ids"].shape[1] == 9 and packed["labels"].shape[1] == 4
        assert packed["span_distances"].shape[1] == 5
        return packed

    for key, value in static().items():
        width = narrow[key].shape[1]
        np.testing.assert_array_equal(value[:, :width], narrow[key])
        assert (value[:, width:].numpy() == (PAD if key == "token_ids" else 0)).all()


def test_without_labels_no_row_is_classified():
    examples = {key: value for key, value in _examples().items() if not key.endswith("labels")}
    packed = PackedRows(pad_id=PAD, labels={})(
        examples,
        rows=tf.constant([0, 1, 2]),
        starts=tf.constant([0, 0, 0]),
        prediction_keys=["prediction_positions", "prediction_weights"],
    )
    assert "cls_positions" not in packed and "labels" not in packed
    assert packed["token_ids"].shape == (3, 4)


@pytest.mark.parametrize("predictions", [None, 3])
def test_rows_without_predictions(predictions):
    examples = _examples() | {"prediction_weights": tf.zeros([3, 2])}
    packed = PackedRows(pad_id=PAD, labels={}, predictions=predictions)(
        examples,
        rows=tf.constant([0, 0, 1]),
        starts=tf.constant([0, 3, 0]),
        prediction_keys=["prediction_positions", "prediction_weights"],
    )
    expected = np.zeros([2, predictions or 1])
    np.testing.assert_array_equal(packed["prediction_weights"], expected)
