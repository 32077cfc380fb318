"""Reads the arrays of an HDF5 file, one at a time: Keras' and transformers' weight files.

HDF5 keeps no checksums unless asked to: a changed byte among the numbers cannot be seen.
"""

from __future__ import annotations

import os
from pathlib import Path

import h5py
import numpy as np

_READABLE = ("float16", "bfloat16", "float32", "float64")


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
          ValueError: it is not of floating-point numbers, or cannot be read.
        """
        dataset = self._datasets[name]
        if dataset.dtype.name not in _READABLE:
            raise ValueError(
                f"{self.path}: tensor {name!r} must be of {', '.join(_READABLE)}. "
                f"Found: {dataset.dtype.name}. Store the weights in one of them"
            )
        try:
            return dataset[()]
        except (OSError, RuntimeError) as error:
            raise self._damaged(error) from error

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
