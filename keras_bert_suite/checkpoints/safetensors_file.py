"""Reads and writes .safetensors files, one tensor at a time.

Format: https://github.com/huggingface/safetensors (8 bytes of header length, a JSON header, the
tensors' bytes). The library checks lengths, offsets and overlaps; what it says is given on with the
file's name in front.
"""

from __future__ import annotations

import errno
import json
import mmap
import os
import re
import stat
from collections.abc import Mapping
from pathlib import Path

import ml_dtypes
import numpy as np
import safetensors
from safetensors.numpy import save_file

from keras_bert_suite.files import atomic_write

# Floating point only: a weight stored as integers is quantised, and its scales would be lost.
_READABLE_DTYPES = {
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_OS_ERROR = re.compile(r"os error (\d+)")


class SafetensorsFile:
    """The tensors of one .safetensors file, mapped into memory and read when asked for.

    Use as a context manager. Satisfies `rename.TensorSource`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: the file is not a whole and consistent .safetensors file; names it.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        if self.path.is_dir():
            raise ValueError(f"{path}: must be a .safetensors file. Found: a directory")
        try:
            self._file = safetensors.safe_open(str(path), framework="np")
        except safetensors.SafetensorError as error:
            raise ValueError(
                f"{path}: not a whole .safetensors file ({error}). Copy or download it again"
            ) from error
        self._map_tensors()
        self.names = frozenset(self._file.keys())

    def __enter__(self) -> SafetensorsFile:
        return self

    def __exit__(self, *exception) -> None:
        self._file.__exit__(*exception)

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape that the header gives."""
        return tuple(self._file.get_slice(name).get_shape())

    def read(self, name: str) -> np.ndarray:
        """Returns the tensor as it lies in the file: a read-only array on the mapped bytes.

        It stays valid when the file is closed, renamed or replaced. bfloat16 comes as
        ml_dtypes.bfloat16.

        Raises:
          ValueError: the tensor is not of floating-point numbers; names file and tensor.
        """
        entry = self._entries[name]
        if entry["dtype"] not in _READABLE_DTYPES:
            raise ValueError(
                f"{self.path}: tensor {name!r} must be of {', '.join(_READABLE_DTYPES)}. "
                f"Found: {entry['dtype']}. Store the weights in one of them"
            )
        dtype, offset = _READABLE_DTYPES[entry["dtype"]], self._start + entry["data_offsets"][0]
        return np.ndarray(entry["shape"], dtype, buffer=self._bytes, offset=offset)

    def _map_tensors(self) -> None:
        """Maps the file and keeps its header, which the library has checked.

        The library's own reading copies each tensor into memory that is new each time. And it lets
        a name stand twice when both entries show the same bytes.
        """
        with open(self.path, "rb") as file:
            self._bytes = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
            length = int.from_bytes(file.read(8), "little")
            header = file.read(length)  # the library has checked the length (100 MB at most)
        self._start = 8 + length

        def unique(pairs):
            names = [name for name, _ in pairs]
            twice = sorted({name for name in names if names.count(name) > 1})
            if twice:
                raise ValueError(f"{self.path}: the header names {twice[0]!r} more than once")
            return dict(pairs)

        self._entries = json.loads(header, object_pairs_hook=unique)


def write_safetensors(
    path: str | os.PathLike,
    tensors: Mapping[str, np.ndarray],
    *,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes a .safetensors file, complete or not at all.

    Args:
      path: the file to make or replace.
      tensors: name -> contiguous array of a floating dtype (ml_dtypes.bfloat16 included).
      metadata: strings for the header.

    Raises:
      OSError: the file could not be written (a full disk, ...); what was there is unchanged.
    """
    with atomic_write(path, "wb") as file:
        try:
            # The library renames a file of its own over this one, readable by its owner alone.
            mode = os.fstat(file.fileno()).st_mode
            save_file(dict(tensors), file.name, metadata=dict(metadata or {}))
            os.chmod(file.name, stat.S_IMODE(mode))
        except safetensors.SafetensorError as error:
            number = _OS_ERROR.search(str(error))
            code = int(number[1]) if number else errno.EIO
            raise OSError(code, os.strerror(code), file.name) from error
