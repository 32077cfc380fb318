"""Writes files as torch.save does, byte by byte, without torch."""

from __future__ import annotations

import io
import pickle
import zipfile

import numpy as np

STORAGES = {
    "float32": "FloatStorage",
    "float64": "DoubleStorage",
    "float16": "HalfStorage",
    "bfloat16": "BFloat16Storage",
    "int64": "LongStorage",
}
_LEGACY_START = [0x1950A86A20F9469CFC6C, 1001]
_MACHINE = {"protocol_version": 1001, "little_endian": True, "type_sizes": {"short": 2}}


def text(value):
    """The operation that pushes a str."""
    raw = value.encode()
    return b"X" + len(raw).to_bytes(4, "little") + raw


def number(value):
    """The operation that pushes an int."""
    return b"\x8a\x09" + value.to_bytes(9, "little", signed=True)


def sizes(values):
    """The operations that push a tuple of ints."""
    return b"(" + b"".join(map(number, values)) + b"t"


def tensor(key, kind, count, shape, strides, *, offset=0, legacy=False):
    """The operations that push a tensor."""
    storage = text("storage") + b"ctorch\n" + STORAGES[kind].encode() + b"\n" + text(key)
    storage = b"(" + storage + text("cpu") + number(count) + (b"N" if legacy else b"") + b"tQ"
    hooks = b"ccollections\nOrderedDict\n)R"
    view = number(offset) + sizes(shape) + sizes(strides) + b"\x89" + hooks
    return b"ctorch._utils\n_rebuild_tensor_v2\n(" + storage + view + b"tR"


def state_dict(entries):
    """The pickle of an OrderedDict; `entries`: name -> operations that push its value."""
    items = b"".join(text(name) + operations for name, operations in entries.items())
    return b"\x80\x02ccollections\nOrderedDict\n)R(" + items + b"u."


def entries_of(arrays, *, legacy=False):
    """Contiguous arrays as entries with the storages "0", "1", ..., and those storages' bytes."""
    entries, storages = {}, {}
    for index, (name, array) in enumerate(arrays.items()):
        array = np.array(array, order="C")
        strides = [stride // array.itemsize for stride in array.strides]
        entries[name] = tensor(
            str(index), array.dtype.name, array.size, array.shape, strides, legacy=legacy
        )
        storages[str(index)] = array
    return entries, storages


def zip_file(entries, storages, *, compression=zipfile.ZIP_STORED):
    """The bytes of torch.save since 1.6."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        archive.writestr("archive/data.pkl", state_dict(entries))
        archive.writestr("archive/byteorder", "little")
        for key, array in storages.items():
            archive.writestr(f"archive/data/{key}", array.tobytes())
        archive.writestr("archive/version", "3\n")
    return buffer.getvalue()


def legacy_file(entries, storages):
    """The bytes of torch.save before 1.6."""
    parts = [pickle.dumps(value, 2) for value in (*_LEGACY_START, _MACHINE)]
    parts += [state_dict(entries), pickle.dumps(sorted(storages), 2)]
    for key in sorted(storages):
        parts += [storages[key].size.to_bytes(8, "little"), storages[key].tobytes()]
    return b"".join(parts)


def write(path, arrays, *, legacy=False):
    """Writes a file of these arrays in one of the two layouts."""
    layout = legacy_file if legacy else zip_file
    path.write_bytes(layout(*entries_of(arrays, legacy=legacy)))
