"""Reads `pytorch_model.bin`, in both layouts that torch.save has had, without torch.

Since torch 1.6 it is a zip archive: ARCHIVE/data.pkl describes the tensors, ARCHIVE/data/KEY holds
the numbers, uncompressed; the archive's CRC-32 of each is checked when it is read. Before, it was
five pickles and then the numbers. That layout has no checksums: a changed byte among the numbers
can only be seen there where it makes a number that no weight can be.

Source: torch/serialization.py, `_save` and `_legacy_save`.
"""

from __future__ import annotations

import contextlib
import mmap
import os
import sys
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints.integrity import check_magnitude
from keras_bert_suite.checkpoints.torch_pickle import Storage, TensorView, read_pickle

_LEGACY_MAGIC = 0x1950A86A20F9469CFC6C
_LEGACY_VERSION = 1001
_MAX_PICKLE = 1 << 28  # bytes; the description of a large model has less than 1 MB
_READABLE = ("float16", "bfloat16", "float32", "float64")


class TorchFile:
    """The tensors of one file of torch.save; their numbers are read when asked for.

    Use as a context manager. Satisfies `rename.TensorSource`.

    Raises:
      FileNotFoundError: no such file.
      ValueError: not a whole file of torch.save, or its pickle does more than describe tensors.
    """

    def __init__(self, path: str | os.PathLike):
        self.path = Path(path)
        if self.path.is_dir():
            raise ValueError(f"{path}: must be a file of torch.save. Found: a directory")
        with contextlib.ExitStack() as stack, self._explained("not a whole file of torch.save"):
            self._file = stack.enter_context(open(self.path, "rb"))
            start = self._file.read(4)
            self._file.seek(0)
            layout = _ZipLayout if start == b"PK\x03\x04" else _LegacyLayout
            self._layout = layout(self._file)
            self._tensors = _state_dict(self._layout.description)
            for view in self._tensors.values():
                self._layout.check(view.storage)
            self._stack = stack.pop_all()
        self.names = frozenset(self._tensors)

    def __enter__(self) -> TorchFile:
        return self

    def __exit__(self, *exception) -> None:
        self._layout.close()
        self._stack.close()

    def shape(self, name: str) -> tuple[int, ...]:
        """Returns the shape that the pickle gives; it lies inside the file."""
        return self._tensors[name].shape

    def read(self, name: str) -> np.ndarray:
        """Returns a copy of the tensor, contiguous; bfloat16 comes as ml_dtypes.bfloat16.

        Raises:
          ValueError: the tensor is not of floating-point numbers, its checksum is wrong or, in the
            old layout, it is of absurd magnitude.
        """
        view = self._tensors[name]
        dtype = view.storage.dtype
        if dtype.name not in _READABLE:
            raise ValueError(
                f"{self.path}: tensor {name!r} must be of {', '.join(_READABLE)}. "
                f"Found: {dtype.name}. Store the weights in one of them"
            )
        with self._explained(f"tensor {name!r} cannot be read"):
            numbers = np.frombuffer(self._layout.read(view.storage), dtype)[view.offset :]
            strides = [stride * dtype.itemsize for stride in view.strides]
            tensor = np.lib.stride_tricks.as_strided(numbers, view.shape, strides).copy()
        if not self._layout.has_checksums:
            check_magnitude(self.path, name, tensor)
        return tensor

    @contextlib.contextmanager
    def _explained(self, problem: str) -> Iterator[None]:
        try:
            yield
        except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError) as error:
            raise ValueError(f"{self.path}: {problem} ({error}). Copy it again") from error
        except (ValueError, RuntimeError, RecursionError) as error:
            raise ValueError(f"{self.path}: {problem}: {error}") from error


def _state_dict(description: Any) -> dict[str, TensorView]:
    if not isinstance(description, dict):
        raise ValueError("it must hold a state_dict (names and tensors). Save model.state_dict()")
    for name, value in description.items():
        if not isinstance(name, str) or not isinstance(value, TensorView):
            raise ValueError(
                f"it must hold a state_dict (names and tensors), but {str(name)[:80]!r} is a "
                f"{type(value).__name__}. Save model.state_dict()"
            )
    return description


class _ZipLayout:
    """The archive of torch 1.6 and later."""

    has_checksums = True

    def __init__(self, file: Any):
        self._archive = zipfile.ZipFile(file)
        members = self._archive.infolist()
        self._members = {member.filename: member for member in members}
        pickles = [name for name in self._members if name.endswith("/data.pkl")]
        if len(pickles) != 1 or len(self._members) != len(members):
            raise ValueError("the archive must hold one data.pkl and no name twice")
        self._prefix = pickles[0].removesuffix("data.pkl")
        order = self._prefix + "byteorder"
        if order in self._members and self._bytes(order, limit=16) != b"little":
            raise ValueError("it was written with another byte order; save it on this machine")
        self.description = read_pickle(_Bytes(self._bytes(pickles[0], limit=_MAX_PICKLE)))

    def check(self, storage: Storage) -> None:
        """Compares the claimed size with the member's."""
        name = f"{self._prefix}data/{storage.key}"
        if name not in self._members:
            raise ValueError(f"the archive lacks {name}")
        expected, found = storage.count * storage.dtype.itemsize, self._members[name].file_size
        if expected != found:
            raise ValueError(f"{name} must have {expected} bytes by data.pkl, and has {found}")

    def read(self, storage: Storage) -> bytes:
        """Returns the storage; zipfile compares its CRC-32."""
        return self._bytes(f"{self._prefix}data/{storage.key}")

    def close(self) -> None:
        self._archive.close()

    def _bytes(self, name: str, *, limit: int = sys.maxsize) -> bytes:
        member = self._members[name]
        # torch compresses nothing; what is compressed could grow without bound.
        if member.compress_type != zipfile.ZIP_STORED or member.file_size != member.compress_size:
            raise ValueError(f"{name} is compressed, which torch.save never does")
        if member.file_size > limit:
            raise ValueError(f"{name} has {member.file_size} bytes, more than any model needs")
        return self._archive.read(member)


class _LegacyLayout:
    """The pickles of torch before 1.6: magic, version, machine, state_dict, keys; then numbers."""

    has_checksums = False

    def __init__(self, file: Any):
        size = os.fstat(file.fileno()).st_size
        if size == 0:
            raise ValueError("the file is empty")
        self._map = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        try:
            if read_pickle(self._map) != _LEGACY_MAGIC:
                raise ValueError("it does not begin as a file of torch.save does")
            version, machine = read_pickle(self._map), read_pickle(self._map)
            if version != _LEGACY_VERSION or not isinstance(machine, dict):
                raise ValueError(f"protocol version {str(version)[:20]} is not {_LEGACY_VERSION}")
            if machine.get("little_endian") is not True:
                raise ValueError("it was written with another byte order; save it on this machine")
            self.description = read_pickle(self._map)
            self._starts = self._find_storages(read_pickle(self._map), size)
        except BaseException:
            self._map.close()
            raise

    def check(self, storage: Storage) -> None:
        """Compares the claimed size with the file's."""
        expected, (_, count) = storage.count, self._starts.get(storage.key, (0, -1))
        if expected != count:
            raise ValueError(f"storage {storage.key!r} must have {expected} numbers, has {count}")

    def read(self, storage: Storage) -> bytes:
        """Returns the storage."""
        start, count = self._starts[storage.key]
        return self._map[start : start + count * storage.dtype.itemsize]

    def close(self) -> None:
        self._map.close()

    def _find_storages(self, keys: Any, size: int) -> dict[str, tuple[int, int]]:
        """Returns key -> (first byte, count of numbers); the last must end where the file does."""
        if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
            raise ValueError("the list of its storages is damaged")
        itemsizes = {view.storage.key: view.storage.dtype for view in _views(self.description)}
        found, position = {}, self._map.tell()
        for key in keys:
            if key not in itemsizes or key in found:
                raise ValueError(f"storage {key[:80]!r} belongs to no tensor, or stands twice")
            count = int.from_bytes(self._map[position : position + 8], "little")
            found[key] = (position + 8, count)
            position += 8 + count * itemsizes[key].itemsize
            if position > size:
                raise ValueError(f"the file ends inside of storage {key[:80]!r}: copy it again")
        if position != size:
            raise ValueError(f"{size - position} bytes follow the last storage: copy it again")
        return found


def _views(description: Any) -> list[TensorView]:
    values = description.values() if isinstance(description, dict) else ()
    return [value for value in values if isinstance(value, TensorView)]


class _Bytes:
    """A pickle in memory, read as a file that gives no more than there is."""

    def __init__(self, content: bytes):
        self._content, self._position = content, 0

    def read(self, count: int) -> bytes:
        start = self._position
        self._position = min(start + count, len(self._content))
        return self._content[start : self._position]

    def readline(self) -> bytes:
        end = self._content.find(b"\n", self._position)
        return self.read((end + 1 or len(self._content)) - self._position)

    def tell(self) -> int:
        return self._position
