"""Reads TensorFlow's checkpoints: PREFIX.index and PREFIX.data-00000-of-0000N.

TensorFlow compares the checksum of each tensor when it reads it.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import tensorflow as tf

from keras_bert_suite.checkpoints.rename import listed

_READABLE = ("float16", "bfloat16", "float32", "float64")
# What TensorFlow makes of its own status codes, by what is wrong with the file.
_READ_ERRORS = (tf.errors.OpError, ValueError, RuntimeError, TypeError, LookupError, MemoryError)


class TensorFlowCheckpoint:
    """The variables of one checkpoint, read when asked for.

    Use as a context manager. Satisfies `rename.TensorSource`.

    Args:
      prefix: the path without ".index".

    Raises:
      FileNotFoundError: no such checkpoint, or a data file is missing.
      ValueError: the index is damaged, or claims more than the data files hold.
    """

    def __init__(self, prefix: str | os.PathLike):
        self.path = Path(prefix)
        index = Path(f"{prefix}.index")
        if not index.is_file():
            raise FileNotFoundError(f"{index}: no such file. A checkpoint has one beside its data")
        data = sorted(self.path.parent.glob(f"{self.path.name}.data-*"))
        if not data:
            raise FileNotFoundError(f"{prefix}.data-*: no such files. Copy them beside {index}")
        self._size = sum(file.stat().st_size for file in data)
        try:
            self._reader = tf.train.load_checkpoint(str(prefix))
            self._shapes = self._reader.get_variable_to_shape_map()
            self._dtypes = self._reader.get_variable_to_dtype_map()
        except _READ_ERRORS as error:
            raise self._damaged(error) from error
        self.names = frozenset(self._shapes)
        self._check_sizes()

    def __enter__(self) -> TensorFlowCheckpoint:
        return self

    def __exit__(self, *exception) -> None:
        return

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the variable's shape."""
        return tuple(self._shapes[name])

    def read(self, name: str) -> np.ndarray:
        """Returns the variable's value.

        Raises:
          ValueError: it is not of floating-point numbers, or its checksum is wrong.
        """
        if self._dtypes[name].name not in _READABLE:
            raise ValueError(
                f"{self.path}: tensor {name!r} must be of {', '.join(_READABLE)}. "
                f"Found: {self._dtypes[name].name}. Store the weights in one of them"
            )
        try:
            return np.asarray(self._reader.get_tensor(name))
        except _READ_ERRORS as error:
            raise self._damaged(error) from error

    def _check_sizes(self) -> None:
        """A claimed size must not fill the memory before the data turns out to be shorter."""
        too_large = [
            name
            for name, shape in self._shapes.items()
            if self._dtypes[name] != tf.string
            and int(np.prod(shape, dtype=object)) * self._dtypes[name].size > self._size
        ]
        if too_large:
            raise ValueError(
                f"{self.path}: its data files ({self._size} bytes) are shorter than the index says "
                f"of {listed(too_large)}. Copy them again"
            )

    def _damaged(self, error: Exception) -> ValueError:
        reason = str(error).strip().partition("\n")[0]
        return ValueError(f"{self.path}: not a whole checkpoint of TensorFlow ({reason})")
