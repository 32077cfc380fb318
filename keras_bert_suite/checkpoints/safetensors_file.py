"""Reads and writes .safetensors files, one tensor at a time.

Format: https://github.com/huggingface/safetensors (8 bytes of header length, a JSON header, the
tensors' bytes). The library checks lengths, offsets and overlaps; what it says is given on with the
file's name in front. The format has no checksums: what is written here brings its own, as one more
string of the header's "__metadata__".
"""

from __future__ import annotations

import json
import mmap
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import safetensors

from keras_bert_suite.checkpoints.integrity import check_checksum, check_magnitude, checksum
from keras_bert_suite.checkpoints.rename import listed
from keras_bert_suite.files import atomic_write

# Floating point only: a weight stored as integers is quantised, and its scales would be lost.
_READABLE_DTYPES = {
    "F16": np.dtype(np.float16),
    "BF16": np.dtype(ml_dtypes.bfloat16),
    "F32": np.dtype(np.float32),
    "F64": np.dtype(np.float64),
}
_DTYPE_NAMES = {dtype: name for name, dtype in _READABLE_DTYPES.items()}
_CHECKSUMS = "keras_bert_suite.xxh3_64"  # JSON: tensor -> checksum


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
        self.names = frozenset(self._file.keys())
        self._map_tensors()
        self._checksums = self._read_checksums()

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
          ValueError: the tensor is not of floating-point numbers, not what its checksum says or,
            without one, of absurd magnitude; names file and tensor.
        """
        entry = self._entries[name]
        if entry["dtype"] not in _READABLE_DTYPES:
            raise ValueError(
                f"{self.path}: tensor {name!r} must be of {', '.join(_READABLE_DTYPES)}. "
                f"Found: {entry['dtype']}. Store the weights in one of them"
            )
        start, end = (self._start + offset for offset in entry["data_offsets"])
        dtype = _READABLE_DTYPES[entry["dtype"]]
        tensor = np.ndarray(entry["shape"], dtype, buffer=self._bytes, offset=start)
        if self._checksums is None:
            check_magnitude(self.path, name, tensor)
        else:
            found = checksum(
                name, entry["dtype"], entry["shape"], memoryview(self._bytes)[start:end]
            )
            check_checksum(self.path, name, stored=self._checksums[name], found=found)
        return tensor

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

    def _read_checksums(self) -> dict[str, str] | None:
        """The tensors' checksums; None in a file that another program wrote."""
        text = self._entries.get("__metadata__", {}).get(_CHECKSUMS)
        if text is None:
            return None
        try:
            checksums = json.loads(text)
        except (json.JSONDecodeError, RecursionError) as error:
            raise ValueError(f"{self.path}: the header's checksums are no JSON: {error}") from error
        if not isinstance(checksums, dict) or set(checksums) != self.names:
            other = sorted(set(checksums) ^ self.names) if isinstance(checksums, dict) else []
            raise ValueError(
                f"{self.path}: the header's checksums must be those of its tensors. Only in one of "
                f"the two: {listed(other)}. Copy the file again"
            )
        return checksums


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
      metadata: strings for the header, where the tensors' checksums are added.

    Raises:
      ValueError: an array of another dtype.
      OSError: the file could not be written (a full disk, ...); what was there is unchanged.
    """
    # The library's own writer puts the strings of the metadata in another order each time. As
    # there, wide numbers come first, so that all are aligned.
    names = sorted(tensors, key=lambda name: (-tensors[name].dtype.itemsize, name))
    entries: dict[str, Any] = {}
    checksums, end = {}, 0
    for name in names:
        value = tensors[name]
        if value.dtype not in _DTYPE_NAMES:
            raise ValueError(
                f"Tensor {name!r} must be of {', '.join(_READABLE_DTYPES)}. Received: {value.dtype}"
            )
        dtype, shape, start = _DTYPE_NAMES[value.dtype], list(value.shape), end
        end += value.nbytes
        entries[name] = {"dtype": dtype, "shape": shape, "data_offsets": [start, end]}
        checksums[name] = checksum(name, dtype, shape, _bytes_of(value))
    strings = {**(metadata or {}), _CHECKSUMS: json.dumps(checksums)}
    header = json.dumps({"__metadata__": strings, **entries}, separators=(",", ":")).encode()
    header += b" " * (-len(header) % 8)
    with atomic_write(path, "wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        for name in names:
            file.write(_bytes_of(tensors[name]))


def _bytes_of(value: np.ndarray) -> memoryview:
    return np.ascontiguousarray(value).reshape(-1).view(np.uint8).data
