"""JSON values to arrays and back, as TF Serving's REST API writes tensors.

Source: tensorflow/serving, util/json_tensor.cc.
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.serving.server.errors import ServingError, invalid_argument
from keras_bert_suite.serving.server.servable import Port

_MAX_QUOTED = 256
_MAX_RANK = 32


def to_array(value: Any, port: Port, *, alias: str) -> np.ndarray:
    """A nested JSON list as an array of the port's type; every list of a level is of one size."""
    shape: list[int] = []
    level = value
    while isinstance(level, list):
        shape.append(len(level))
        level = level[0] if level else None
    if len(shape) > _MAX_RANK:
        raise invalid_argument(f"Input {alias}: lists are nested too deeply")
    leaves: list[Any] = []
    _flatten(value, shape, leaves, level=0)
    if port.dtype == tf.string:
        array = np.empty(len(leaves), object)
        array[:] = [to_bytes(leaf) for leaf in leaves]
    else:
        array = _numbers(leaves, port.dtype)
    return array.reshape(shape)


def _flatten(value: Any, shape: list[int], leaves: list[Any], *, level: int) -> None:
    if level == len(shape):
        if isinstance(value, list):
            raise invalid_argument(
                f"Encountered list at unexpected level: {level} expected < {len(shape)}"
            )
        leaves.append(value)
        return
    if not isinstance(value, list):
        raise invalid_argument(
            f"JSON Value: {quoted(value)} found at incorrect level: {level + 1} in the JSON DOM. "
            f"Expected at level: {len(shape)}"
        )
    if len(value) != shape[level]:
        raise invalid_argument(
            f"Encountered list at unexpected size: {len(value)} at level: {level} expected size: "
            f"{shape[level]}"
        )
    for item in value:
        _flatten(item, shape, leaves, level=level + 1)


def _numbers(leaves: list[Any], dtype: tf.DType) -> np.ndarray:
    if dtype == tf.bool:
        fits = lambda leaf: isinstance(leaf, bool)  # noqa: E731
    elif dtype.is_integer:
        fits = lambda leaf: (  # noqa: E731
            isinstance(leaf, int) and not isinstance(leaf, bool) and dtype.min <= leaf <= dtype.max
        )
    else:
        fits = lambda leaf: isinstance(leaf, int | float) and not isinstance(leaf, bool)  # noqa: E731
    for leaf in leaves:
        if not fits(leaf):
            raise _type_error(leaf, dtype.name)
    try:
        return np.array(leaves, dtype.as_numpy_dtype)
    except OverflowError as failure:
        raise invalid_argument(f"A number is too large for {dtype.name}") from failure


def to_bytes(leaf: Any) -> bytes:
    if isinstance(leaf, str):
        return _encoded(leaf)
    if not is_base64(leaf):
        raise _type_error(leaf, "string")
    return _decoded(leaf)


def _encoded(text: str) -> bytes:
    # Half of a surrogate pair becomes a question mark, see `is_text`.
    return text.encode("utf-8", "replace")


def is_text(value: str) -> bool:
    """Whether UTF-8 can say it: JSON may hold halves of surrogate pairs."""
    return not any("\ud800" <= character <= "\udfff" for character in value)


def _decoded(leaf: dict[str, str]) -> bytes:
    try:
        return base64.b64decode(leaf["b64"], validate=True)
    except (binascii.Error, ValueError) as failure:
        raise invalid_argument("Unable to base64 decode") from failure


def to_values(array: np.ndarray, *, as_bytes: bool) -> Any:
    """An array as nested lists that JSON can hold.

    Args:
      array: numbers, booleans, or an object array of bytes.
      as_bytes: whether strings are written as {"b64": ...}.
    """
    if array.dtype == object and as_bytes:
        flat: list[Any] = [{"b64": base64.b64encode(item).decode()} for item in array.ravel()]
    elif array.dtype == object:
        flat = [item.decode("utf-8", "replace") for item in array.ravel()]
    elif array.dtype.kind in "iub" or array.dtype == np.float64:
        return array.tolist()
    else:
        flat = [shortest(item) for item in array.astype(np.float32).ravel().tolist()]
    cells = np.empty(len(flat), object)
    cells[:] = flat
    return cells.reshape(array.shape).tolist()


def shortest(value: float) -> float:
    """The float whose shortest decimal is that of the float32 value: 0.2, not 0.2000000030."""
    return float(str(np.float32(value)))


def is_base64(value: Any) -> bool:
    return isinstance(value, dict) and set(value) == {"b64"} and isinstance(value["b64"], str)


def _type_error(leaf: Any, expected: str) -> ServingError:
    return invalid_argument(
        f"JSON Value: {quoted(leaf)} Type: {type(leaf).__name__} is not of expected type: "
        f"{expected}"
    )


def quoted(value: Any) -> str:
    return json.dumps(value)[:_MAX_QUOTED]
