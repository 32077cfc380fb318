"""Models made for a checkpoint: a weight gets its stored value as its first one.

Drawing random weights takes four times as long as reading stored ones, and gives each weight a
second copy. Keras can leave a variable without a value (what `keras.StatelessScope` is for); here
it is the checkpoint that gives the value, and what the checkpoint lacks is drawn as usual.
"""

from __future__ import annotations

import contextlib
import gc
from collections.abc import Iterator
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras.src.backend.common import global_state
from keras.src.backend.common.stateless_scope import in_stateless_scope

# TensorFlow's kernels read tensors from such addresses on.
_ALIGNMENT = 64
# Keras' list of variables without a value; the next scope of anybody's would initialise them.
_WITHOUT_VALUE = "uninitialized_variables"


class Unfilled:
    """The variables that were made within one `without_values`."""

    def __init__(self) -> None:
        self._variables: list[Any] = []

    def initialize(self) -> int:
        """Draws a first value for each variable that has none; returns how many there were.

        Under a strategy call it in the scope in which the variables were made.
        """
        missing = [variable for variable in self._variables if variable._value is None]
        for variable in missing:
            variable._deferred_initialize()
        self._variables = []
        return len(missing)


@contextlib.contextmanager
def without_values() -> Iterator[Unfilled]:
    """Models and layers made in the block have weights of known shape and no values.

    After the block give the weights values with `set_value`, then call `initialize` for the rest:

        with without_values() as unfilled:
            model = BertModel(Encoder(config), heads)
        ...  # set_value(variable, value) for what is stored
        unfilled.initialize()

    Inside somebody else's `keras.StatelessScope` that scope is in charge, and nothing is changed.

    Yields:
      The variables, to be initialised after the block.
    """
    unfilled = Unfilled()
    if in_stateless_scope():
        yield unfilled
        return
    others = global_state.get_global_attribute(_WITHOUT_VALUE)
    global_state.set_global_attribute(_WITHOUT_VALUE, [])
    try:
        with _no_garbage_collection(), keras.StatelessScope(initialize_variables=False):
            yield unfilled
    finally:
        unfilled._variables = global_state.get_global_attribute(_WITHOUT_VALUE)
        global_state.set_global_attribute(_WITHOUT_VALUE, others)


@contextlib.contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Python collects no cycles in the block.

    The many objects of a model would make it go through all that TensorFlow has imported, a fourth
    of the time of loading BERT-base, to find that all of them are in use.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def set_value(variable: Any, value: np.ndarray) -> None:
    """Gives a Keras variable its first value, or another one.

    Args:
      variable: with or without a value.
      value: of the variable's shape, floating; copied, and cast to the variable's dtype.

    Raises:
      ValueError: another shape.
    """
    if variable._value is not None or in_stateless_scope():
        variable.assign(value)
        return
    if tuple(value.shape) != tuple(variable.shape):
        raise ValueError(
            f"A value must have the variable's shape, {list(variable.shape)}. "
            f"Received: {list(value.shape)}"
        )
    tensor = _tensor(value, tf.as_dtype(variable.dtype))
    variable._initializer = lambda shape, dtype: tensor
    variable._deferred_initialize()


def share_value(variable: Any, other: Any) -> None:
    """Lets a Keras variable without a value stand for the value of another one, in its memory.

    Whether each of the two learns is still told by itself.

    Args:
      variable: without a value.
      other: with a value, of the same shape and dtype.
    """
    assert variable._value is None
    assert tuple(variable.shape) == tuple(other.shape)
    assert variable.dtype == other.dtype
    variable._initialize(other._value)
    variable._initializer = None


def part_from_others(variable: Any) -> None:
    """Gives a Keras variable a copy of the value that it shared."""
    variable._initialize(tf.identity(variable._value))


def _tensor(value: np.ndarray, dtype: tf.DType) -> tf.Tensor:
    """The value in row-major order, in `dtype`, in memory of its own."""
    # NumPy would walk through a transposed matrix number by number, ten times as long.
    if value.ndim == 2 and value.flags.f_contiguous and not value.flags.c_contiguous:
        return tf.cast(tf.transpose(_copy(value.T)), dtype)
    return tf.cast(_copy(value), dtype)


def _copy(value: np.ndarray) -> tf.Tensor:
    """The same as `tf.constant`, which makes two copies."""
    memory = np.empty(value.nbytes + _ALIGNMENT, np.uint8)
    start = -memory.ctypes.data % _ALIGNMENT
    dtype = value.dtype.newbyteorder("=")
    copy = memory[start : start + value.nbytes].view(dtype).reshape(value.shape)
    np.copyto(copy, value)
    bits = copy.view(f"u{value.itemsize}")  # NumPy gives no bfloat16 to DLPack
    tensor = tf.experimental.dlpack.from_dlpack(bits.__dlpack__())
    return tf.bitcast(tensor, tf.as_dtype(dtype))
