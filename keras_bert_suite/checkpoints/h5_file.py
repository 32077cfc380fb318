"""Reads the arrays of an HDF5 file, one at a time: Keras' and transformers' weight files.

HDF5 keeps no checksums unless asked to. `write_arrays` hangs one on each array as an attribute,
which other readers do not mind; in any other file a changed byte among the numbers can only be seen
where it makes a number that no weight can be.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import h5py
import numpy as np

from keras_bert_suite.checkpoints.integrity import check_checksum, check_magnitude, checksum

_READABLE = {
    "float16": h5py.h5t.IEEE_F16LE,
    "float32": h5py.h5t.IEEE_F32LE,
    "float64": h5py.h5t.IEEE_F64LE,
}
_CHECKSUM = "keras_bert_suite.xxh3_64"


class H5File:
    """The datasets of one HDF5 file under their paths, mapped to arrays when asked for.

    Only what lies in the file itself is followed: no links, no numbers stored elsewhere, no
    filters that unpack or run plugins. Use as a context manager. Satisfies `rename.TensorSource`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file is not a whole HDF5 file, or keeps its numbers in one of those ways.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        if self.path.is_dir():
            raise ValueError(f"{path}: must be an HDF5 file. Found: a directory")
        with open(self.path, "rb"):
            pass  # the file's own error, if it cannot be opened
        self._datasets: dict[str, h5py.Dataset] = {}
        try:
            self._file = h5py.File(self.path, "r")
        except (OSError, RuntimeError, ValueError, KeyError) as error:
            raise self._damaged(error) from error
        try:
            self._file.visititems(self._add)
            self._check_places()
        except (OSError, RuntimeError, KeyError, UnicodeDecodeError, TypeError) as error:
            self._file.close()
            raise self._damaged(error) from error
        except BaseException:
            self._file.close()
            raise
        self.names = frozenset(self._datasets)

    def __enter__(self) -> H5File:
        return self

    def __exit__(self, *exception) -> None:
        self._file.close()

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the dataset's shape."""
        return self._datasets[name].shape

    def read(self, name: str) -> np.ndarray:
        """Returns a copy of the dataset.

        Raises:
          ValueError: it is not of floating-point numbers, cannot be read, is not what its checksum
            says or, without one, of absurd magnitude.
        """
        dataset = self._datasets[name]
        # Of each size one type is in use; a float of another layout is a damaged description.
        if _READABLE.get(dataset.dtype.name) != dataset.id.get_type():
            raise ValueError(
                f"{self.path}: tensor {name!r} must be of {', '.join(_READABLE)}. "
                f"Found: {dataset.dtype.name}. Store the weights in one of them"
            )
        try:
            tensor, stored = dataset[()], dataset.attrs.get(_CHECKSUM)
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            raise self._damaged(error) from error
        if stored is None:
            check_magnitude(self.path, name, tensor)
        else:
            check_checksum(self.path, name, stored=stored, found=_checksum(name, tensor))
        return tensor

    def _add(self, name: str, item: h5py.Group | h5py.Dataset) -> None:
        if not isinstance(item, h5py.Dataset):
            return
        filters = item.id.get_create_plist().get_nfilters()
        if item.shape is None or item.is_virtual or item.external or filters:
            raise ValueError(
                f"{self.path}: {name!r} must store its numbers plainly in this file. Found: an "
                "empty, virtual, external, compressed or filtered dataset"
            )
        # What was never written would be read as zeros.
        if item.size and item.id.get_storage_size() != item.size * item.dtype.itemsize:
            raise ValueError(
                f"{self.path}: {name!r} claims {item.size * item.dtype.itemsize} bytes and stores "
                f"{item.id.get_storage_size()}. Copy the file again"
            )
        self._datasets[name] = item

    def _check_places(self) -> None:
        """Two arrays in one place are a damaged address."""
        places = sorted(
            (item.id.get_offset(), item.size * item.dtype.itemsize, name)
            for name, item in self._datasets.items()
            if item.size and item.id.get_offset() is not None
        )
        end, before = 0, ""
        for start, size, name in places:
            if start < end:
                raise OSError(f"{before!r} and {name!r} lie in one place")
            end, before = start + size, name
        if end > self.path.stat().st_size:
            raise OSError(f"it ends inside of {before!r}")

    def _damaged(self, error: Exception) -> ValueError:
        return ValueError(f"{self.path}: not a whole HDF5 file ({error}). Copy it again")


def write_arrays(path: str | os.PathLike, arrays: Mapping[str, np.ndarray]) -> None:
    """Puts float32 arrays in the places that a file has for them, with their checksums.

    Args:
      path: an HDF5 file with datasets of these names and shapes.
      arrays: path of the dataset -> array.

    Raises:
      OSError: the file could not be written.
    """
    with h5py.File(path, "r+") as file:
        for name, value in arrays.items():
            value = np.ascontiguousarray(value, np.float32)
            file[name][...] = value
            file[name].attrs[_CHECKSUM] = _checksum(name, value)


def _checksum(name: str, value: np.ndarray) -> str:
    return checksum(name, value.dtype.name, value.shape, value.reshape(-1).view(np.uint8))
