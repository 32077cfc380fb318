"""Whether the numbers of a file are those that were written.

What is written here carries a checksum of each tensor, which reading compares. A foreign file that
has none is at least kept from bringing numbers that no weight can be: a changed bit among the upper
ones of a float's exponent makes 0.02 to 7e36.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xxhash

# The largest weights of published encoders are below 100, and float16 ends at 65504.
_LARGEST = 1e6
_CHUNK = 1 << 20  # numbers


def checksum(name: str, dtype: str, shape: Sequence[int], data: Any) -> str:
    """Returns the XXH3 of a tensor, 64 bits as hexadecimal digits; changed if anything of it is.

    Args:
      name: the tensor's name in its file.
      dtype, shape: as the file says.
      data: its bytes: any contiguous buffer of bytes, not copied.
    """
    hasher = xxhash.xxh3_64(f"{name}\n{dtype}\n{list(map(int, shape))}\n".encode())
    hasher.update(data)
    return hasher.hexdigest()


def check_checksum(path: Any, name: str, *, stored: Any, found: str) -> None:
    """Compares a checksum in a file with the one of what was read from it.

    Raises:
      ValueError: they differ.
    """
    if stored != found:
        raise ValueError(
            f"{path}: tensor {name!r} is not what was written: its checksum is {found}, the file "
            f"says {stored!r:.40}. Copy the file again"
        )


def check_magnitude(path: Any, name: str, tensor: np.ndarray) -> None:
    """Refuses numbers that no weight can be; NaN and infinity are left to others.

    Args:
      path: the file, for the message.
      name: the tensor's.
      tensor: of a floating dtype.

    Raises:
      ValueError: the largest magnitude is beyond 1e6; names the tensor.
    """
    numbers = tensor.ravel(order="K")
    # The squares' sum is one quick pass; only if it is large can one of them be.
    if _sum_of_squares(numbers) <= _LARGEST**2:
        return
    magnitudes = np.abs(numbers[np.isfinite(numbers)])
    wrong = int(np.count_nonzero(magnitudes > _LARGEST))
    if wrong:
        largest = float(magnitudes.max())
        raise ValueError(
            f"{path}: tensor {name!r} must hold weights, and {wrong} of its {numbers.size} numbers "
            f"are beyond {_LARGEST:.0e} (up to {largest:.1e}), as changed bits leave them. Copy or "
            "download the file again"
        )


def _sum_of_squares(numbers: np.ndarray) -> float:
    """The sum in the numbers' precision or float32, whichever is more; NaN and inf stay so."""
    with np.errstate(over="ignore", invalid="ignore"):
        if numbers.dtype in (np.float32, np.float64):
            return float(np.dot(numbers, numbers))
        chunks = (numbers[i : i + _CHUNK] for i in range(0, numbers.size, _CHUNK))
        return float(sum(np.sum(np.square(chunk.astype(np.float32))) for chunk in chunks))
