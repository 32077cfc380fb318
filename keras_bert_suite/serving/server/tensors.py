"""TensorProto to NumPy array and back, sized by what a message holds, not by what it claims."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.serving.server.errors import invalid_argument

# A proto may hold fewer values than its shape says; TensorFlow then repeats the last one. A short
# message must not claim the whole memory, so that repetition is only done for small tensors.
MAX_REPEATED_ELEMENTS = 1 << 16

_FIELDS = {
    tf.float32: "float_val",
    tf.float64: "double_val",
    tf.int32: "int_val",
    tf.int16: "int_val",
    tf.int8: "int_val",
    tf.uint8: "int_val",
    tf.uint16: "int_val",
    tf.int64: "int64_val",
    tf.uint32: "uint32_val",
    tf.uint64: "uint64_val",
    tf.bool: "bool_val",
    tf.string: "string_val",
    tf.float16: "half_val",
    tf.bfloat16: "half_val",
}


def from_proto(proto, *, alias: str) -> np.ndarray:
    """The array of a tf.TensorProto; strings as an object array of bytes.

    Args:
      proto: TensorProto of a client, not to be trusted.
      alias: the input's name, for messages.

    Raises:
      ServingError: INVALID_ARGUMENT `tensor parsing error: ALIAS...` when the shape is not fully
        known or does not fit the values, or for a type without plain values (variants, ...).
    """
    dtype = _dtype(proto, alias=alias)
    shape = _shape(proto, alias=alias)
    elements = math.prod(shape)
    if proto.tensor_content and dtype == tf.string:
        raise _parsing_error(alias, "strings belong into string_val, not into tensor_content")
    if proto.tensor_content:
        numpy_dtype = np.dtype(dtype.as_numpy_dtype)
        if len(proto.tensor_content) != elements * numpy_dtype.itemsize:
            raise _parsing_error(
                alias,
                f"shape {shape} needs {elements * numpy_dtype.itemsize} bytes of content, "
                f"got {len(proto.tensor_content)}",
            )
        return np.frombuffer(proto.tensor_content, numpy_dtype).reshape(shape)
    values = getattr(proto, _FIELDS[dtype])
    if len(values) > elements or (not values and elements > MAX_REPEATED_ELEMENTS):
        raise _parsing_error(alias, f"shape {shape} does not fit {len(values)} values")
    if len(values) < elements and elements > MAX_REPEATED_ELEMENTS:
        raise _parsing_error(alias, f"shape {shape} does not fit {len(values)} values")
    return _filled(values, dtype=dtype, elements=elements).reshape(shape)


def to_proto(array: np.ndarray, proto, *, as_content: bool = False) -> None:
    """Writes an array to a TensorProto in the typed fields (float_val, ...), as TF Serving does.

    Args:
      array: numbers, or strings as objects.
      proto: empty.
      as_content: numbers as bytes in tensor_content, which is shorter to write and to read.
    """
    dtype = tf.dtypes.as_dtype(array.dtype) if array.dtype != object else tf.string
    proto.dtype = dtype.as_datatype_enum
    for size in array.shape:
        proto.tensor_shape.dim.add().size = size
    if as_content and dtype != tf.string:
        proto.tensor_content = array.astype(array.dtype.newbyteorder("<"), copy=False).tobytes()
        return
    flat = array.ravel()
    if dtype in (tf.float16, tf.bfloat16):
        flat = flat.view(np.uint16)
    getattr(proto, _FIELDS[dtype]).extend(flat.tolist())


def _dtype(proto, *, alias: str) -> tf.DType:
    try:
        dtype = tf.dtypes.as_dtype(proto.dtype)
    except TypeError:
        dtype = None
    if dtype not in _FIELDS:
        name = dtype.name if dtype else proto.dtype
        raise _parsing_error(alias, f"type {name} is not supported")
    return dtype


def _shape(proto, *, alias: str) -> tuple[int, ...]:
    shape = tuple(dim.size for dim in proto.tensor_shape.dim)
    if proto.tensor_shape.unknown_rank or any(size < 0 for size in shape) or len(shape) > 254:
        raise _parsing_error(alias, f"shape {list(shape)[:8]} is not fully known")
    return shape


def _filled(values: Sequence, *, dtype: tf.DType, elements: int) -> np.ndarray:
    if dtype == tf.string:
        array = np.empty(elements, object)
        array[: len(values)] = values
        array[len(values) :] = values[-1] if values else b""
        return array
    numpy_dtype = np.dtype(dtype.as_numpy_dtype)
    if dtype in (tf.float16, tf.bfloat16):
        present = np.array(values, np.int64).astype(np.uint16).view(numpy_dtype)
    else:
        present = np.array(values, np.int64 if dtype.is_integer and dtype.size < 4 else numpy_dtype)
        present = present.astype(numpy_dtype)
    if len(present) == elements:
        return present
    array = np.zeros(elements, numpy_dtype)
    array[: len(present)] = present
    if len(present):
        array[len(present) :] = present[-1]
    return array


def _parsing_error(alias: str, reason: str):
    return invalid_argument(f"tensor parsing error: {alias}: {reason}")
