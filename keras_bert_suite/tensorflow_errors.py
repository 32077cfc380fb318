"""TensorFlow's errors of writing files, as Python's own."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator

import tensorflow as tf


@contextlib.contextmanager
def tensorflow_os_errors(target: str | os.PathLike) -> Iterator[None]:
    """Turns what TensorFlow raises when it cannot write into OSError, as `open` would raise it.

    Args:
      target: the path to name in the error, which is absolute there.

    Raises:
      OSError: ENOSPC for a full disk, EFBIG for a limit on the size of a file, EIO for the rest.
    """
    try:
        yield
    except tf.errors.OpError as error:
        text = str(error.message).lower()
        full = isinstance(error, tf.errors.ResourceExhaustedError) or "no space" in text
        code = errno.ENOSPC if full else errno.EFBIG if "too large" in text else errno.EIO
        raise OSError(code, f"{error.message}", os.path.realpath(target)) from error
