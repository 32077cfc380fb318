"""Files of safetensors: bytes in, bytes out, and what a damaged file says."""

from __future__ import annotations

import errno
import json
import os
import resource
import struct

import ml_dtypes
import numpy as np
import pytest
import xxhash

from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile, write_safetensors

_ONE = {"dtype": "F32", "shape": [1], "data_offsets": [0, 4]}


def _write_raw(path, header, data, *, length=None):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(header) if length is None else length) + header + data)
    return path


def test_header_and_bytes_literally(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"x": np.float32([1.0, -2.0])}, metadata={"format": "pt"})
    content = path.read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    checksum = xxhash.xxh3_64_hexdigest(b"x\nF32\n[2]\n" + struct.pack("<2f", 1.0, -2.0))
    checksums = json.dumps({"x": checksum})
    assert json.loads(content[8 : 8 + length]) == {
        "__metadata__": {"format": "pt", "keras_bert_suite.xxh3_64": checksums},
        "x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8]},
    }
    assert content[8 + length :] == struct.pack("<2f", 1.0, -2.0)


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_round_trip_is_bitwise(tmp_path, dtype):
    values = np.random.default_rng(0).normal(size=(3, 5)).astype(dtype)
    tensors = {"b": values, "a": values[0].copy(), "empty": np.zeros([0, 4], dtype)}
    write_safetensors(tmp_path / "a.safetensors", tensors)
    with SafetensorsFile(tmp_path / "a.safetensors") as file:
        assert file.names == {"a", "b", "empty"}
        for name, value in tensors.items():
            assert file.shape(name) == value.shape
            assert file.read(name).dtype == value.dtype
            assert file.read(name).tobytes() == value.tobytes()


def test_permissions_follow_the_umask(tmp_path):
    before = os.umask(0o022)
    try:
        write_safetensors(tmp_path / "a.safetensors", {"x": np.zeros(1, np.float32)})
    finally:
        os.umask(before)
    assert (tmp_path / "a.safetensors").stat().st_mode & 0o777 == 0o644


@pytest.mark.parametrize(
    "header, data, length",
    [
        ({"a": _ONE}, b"123", None),  # truncated
        ({"a": _ONE}, b"12345", None),  # bytes that belong to nothing
        ({"a": _ONE}, b"1234", 2**63),
        ({"a": _ONE}, b"1234", 2**40),
        ({"a": _ONE}, b"1234", 10**6),
        ({"a": _ONE, "b": _ONE}, b"1234", None),  # overlap
        ({"a": {**_ONE, "shape": [2]}}, b"1234", None),
        ({"a": {**_ONE, "shape": [-1]}}, b"1234", None),
        ({"a": {**_ONE, "shape": [2**40, 2**40]}}, b"1234", None),
        ({"a": {**_ONE, "dtype": "Q7"}}, b"1234", None),
        (b"hello world", b"1234", None),
        (b"[]", b"", None),
        (b"\xff\xfe\x00\x01", b"", None),
    ],
)
def test_damaged_files(tmp_path, header, data, length):
    path = _write_raw(tmp_path / "a.safetensors", header, data, length=length)
    with pytest.raises(ValueError, match=r"a\.safetensors: not a whole .*\(.*again"):
        SafetensorsFile(path)


def test_an_empty_file(tmp_path):
    (tmp_path / "a.safetensors").touch()
    with pytest.raises(ValueError, match=r"a\.safetensors: not a whole \.safetensors file"):
        SafetensorsFile(tmp_path / "a.safetensors")


def test_a_name_that_stands_twice(tmp_path):
    entry = json.dumps(_ONE).encode()
    path = _write_raw(tmp_path / "a.safetensors", b'{"w":%b,"w":%b}' % (entry, entry), b"1234")
    with pytest.raises(ValueError, match=r"a\.safetensors: the header names 'w' more than once"):
        SafetensorsFile(path)


@pytest.mark.parametrize("dtype, size", [("I64", 8), ("U8", 1), ("F8_E4M3", 1), ("BOOL", 1)])
def test_weights_are_floating_point(tmp_path, dtype, size):
    header = {"w": {"dtype": dtype, "shape": [1], "data_offsets": [0, size]}}
    path = _write_raw(tmp_path / "a.safetensors", header, bytes(size))
    with SafetensorsFile(path) as file:
        assert file.shape("w") == (1,)
        with pytest.raises(ValueError, match=f"tensor 'w' must be of F16, .*Found: {dtype}"):
            file.read("w")


def test_a_directory_and_no_file(tmp_path):
    with pytest.raises(ValueError, match="must be a .safetensors file. Found: a directory"):
        SafetensorsFile(tmp_path)
    with pytest.raises(FileNotFoundError, match="none.safetensors"):
        SafetensorsFile(tmp_path / "none.safetensors")


def test_a_write_that_fails_changes_nothing(tmp_path):
    path = tmp_path / "a.safetensors"
    write_safetensors(path, {"x": np.float32([1.0])})
    before = path.read_bytes()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))  # bytes of a file
    try:
        with pytest.raises(OSError, match=r"Cannot write .*a\.saf.*: File too large") as error:
            write_safetensors(path, {"x": np.zeros(1000, np.float32)})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert error.value.errno == errno.EFBIG
    assert path.read_bytes() == before
    assert os.listdir(tmp_path) == ["a.safetensors"]


def test_a_tensor_is_the_bytes_of_the_file_and_outlives_it(tmp_path):
    write_safetensors(tmp_path / "w", {"a": np.arange(3, dtype=np.float32)})
    with SafetensorsFile(tmp_path / "w") as file:
        tensor = file.read("a")
    write_safetensors(tmp_path / "w", {"a": np.zeros(3, np.float32)})
    assert tensor.tolist() == [0, 1, 2]
    assert not tensor.flags.writeable
