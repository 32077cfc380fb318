"""TensorProto to array and back."""

from __future__ import annotations

import grpc
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf
from tensorflow.core.framework import tensor_pb2

from keras_bert_suite.serving.server import tensors
from keras_bert_suite.serving.server.errors import ServingError

_ARRAYS = [
    np.array([[0.5, -1.0]], np.float32),
    np.array([1e300], np.float64),
    np.array([[1], [-2]], np.int32),
    np.array([1 << 60], np.int64),
    np.array([200, 0], np.uint8),
    np.array([-5], np.int8),
    np.array([1 << 63], np.uint64),
    np.array([True, False]),
    np.array([1.5, -2.0], np.float16),
    np.array([1.5, -2.0], ml_dtypes.bfloat16),
    np.array([[b"a", b"\xff"]], object),
    np.array(3.0, np.float32),
    np.zeros([0, 4], np.float32),
]


@pytest.mark.parametrize("array", _ARRAYS, ids=str)
def test_arrays_come_back_through_our_proto_and_tensorflows(array):
    ours = tensor_pb2.TensorProto()
    tensors.to_proto(array, ours)
    for proto in (ours, tf.make_tensor_proto(array)):
        back = tensors.from_proto(proto, alias="x")
        assert back.dtype == array.dtype
        np.testing.assert_array_equal(back, array)
    np.testing.assert_array_equal(tf.make_ndarray(ours), array)


def test_a_short_proto_repeats_its_last_value_as_tensorflow_does():
    proto = tensor_pb2.TensorProto(dtype=tf.float32.as_datatype_enum, float_val=[1.0, 2.0])
    proto.tensor_shape.dim.add().size = 4
    np.testing.assert_array_equal(tensors.from_proto(proto, alias="x"), tf.make_ndarray(proto))


def _claiming(size, **fields):
    proto = tensor_pb2.TensorProto(**fields)
    proto.tensor_shape.dim.add().size = size
    return proto


@pytest.mark.parametrize(
    "proto, reason",
    [
        (_claiming(10**9, dtype=7, string_val=[b"a"]), "does not fit 1 values"),
        (_claiming(10**9, dtype=1), "does not fit 0 values"),
        (_claiming(10**18, dtype=1, tensor_content=b"abcd"), "bytes of content, got 4"),
        (_claiming(1, dtype=1, float_val=[1.0, 2.0]), "does not fit 2 values"),
        (_claiming(-1, dtype=1, float_val=[1.0]), "is not fully known"),
        (_claiming(1, dtype=0), "type 0 is not supported"),
        (_claiming(1, dtype=21), "type variant is not supported"),
        (_claiming(1, dtype=77), "is not supported"),
    ],
)
def test_what_a_proto_claims_is_checked_before_memory_is_taken(proto, reason):
    with pytest.raises(ServingError) as caught:
        tensors.from_proto(proto, alias="x")
    assert caught.value.code is grpc.StatusCode.INVALID_ARGUMENT
    assert caught.value.message.startswith("tensor parsing error: x: ")
    assert reason in caught.value.message
