"""What keeps numbers apart that were not written so."""

from __future__ import annotations

import json

import h5py
import ml_dtypes
import numpy as np
import pytest
import xxhash
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from keras_bert_suite.checkpoints.h5_file import H5File, write_arrays
from keras_bert_suite.checkpoints.integrity import check_magnitude, checksum
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile, write_safetensors


def test_a_checksum_is_of_name_dtype_shape_and_bytes():
    expected = xxhash.xxh3_64_hexdigest(b"w\nF32\n[2, 3]\nbytes")
    assert checksum("w", "F32", (2, np.int64(3)), memoryview(b"bytes")) == expected
    others = [("v", "F32", [2, 3]), ("w", "F16", [2, 3]), ("w", "F32", [3, 2])]
    assert expected not in {checksum(*other, b"bytes") for other in others}


@pytest.mark.parametrize("dtype", [np.float16, ml_dtypes.bfloat16, np.float32, np.float64])
def test_magnitudes(dtype):
    """Two million weights, one of which gets its exponent's highest bit changed."""
    weights = np.full([2, 1 << 20], 0.02, dtype)
    check_magnitude("f", "w", weights)
    check_magnitude("f", "w", weights.T)
    check_magnitude("f", "w", np.zeros([0, 3], dtype))
    bits = weights.view(f"u{weights.itemsize}")
    bits[1, 7] ^= 1 << (weights.itemsize * 8 - 2)
    if dtype == np.float16:  # its largest number is 65504
        check_magnitude("f", "w", weights)
    else:
        with pytest.raises(
            ValueError,
            match=r"^f: tensor 'w' must hold weights, and 1 of its 20971"
            r"52 numbers are beyond 1e\+06 \(up to [0-9.]+e\+\d+\).*download",
        ):
            check_magnitude("f", "w", weights)


def test_many_moderate_numbers_nan_and_infinity_pass():
    check_magnitude("f", "w", np.full([1 << 20], 2e3, np.float32))  # their squares add up to 4e12
    check_magnitude("f", "w", np.float32([np.nan, np.inf, 1]))


def test_another_programs_file_has_magnitudes_checked(tmp_path):
    save_file({"w": np.float32([1, 2e6])}, tmp_path / "m.safetensors")
    with (
        SafetensorsFile(tmp_path / "m.safetensors") as file,
        pytest.raises(ValueError, match=r"m.safetensors: tensor 'w' must hold weights, and 1 of"),
    ):
        file.read("w")
    write_safetensors(tmp_path / "m.safetensors", {"w": np.float32([1, 2e6])})
    with SafetensorsFile(tmp_path / "m.safetensors") as file:  # that is what was written
        assert file.read("w").tolist() == [1, 2e6]


def test_one_changed_bit(tmp_path):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"v": np.ones(3, np.float32), "w": np.ones(3, np.float32)})
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with SafetensorsFile(path) as file:
        assert file.read("v").tolist() == [1, 1, 1]
        with pytest.raises(ValueError, match="'w' is not what was written: its checksum is "):
            file.read("w")


def test_two_names_that_changed_places(tmp_path):
    path = tmp_path / "m.safetensors"
    write_safetensors(path, {"v": np.zeros(3, np.float32), "w": np.ones(3, np.float32)})
    length = int.from_bytes(path.read_bytes()[:8], "little") + 8
    header, data = path.read_bytes()[:length], path.read_bytes()[length:]
    header = header.replace(b'"v":{', b'"x":{').replace(b'"w":{', b'"v":{')
    path.write_bytes(header.replace(b'"x":{', b'"w":{') + data)
    with SafetensorsFile(path) as file:
        for name in "vw":
            with pytest.raises(ValueError, match=f"{name!r} is not what was written"):
                file.read(name)


@pytest.mark.parametrize(
    "checksums, message",
    [
        ("{", "the header's checksums are no JSON"),
        ("[]", "the header's checksums must be those of its tensors"),
        ('{"v": "0"}', "Only in one of the two: v, w. Copy"),
        ('{"w": 3}', "'w' is not what was written: its checksum is .*says 3. Copy"),
    ],
)
def test_damaged_checksums(tmp_path, checksums, message):
    metadata = {"keras_bert_suite.xxh3_64": checksums}
    save_file({"w": np.ones(1, np.float32)}, tmp_path / "m.safetensors", metadata=metadata)
    with (
        pytest.raises(ValueError, match=message),
        SafetensorsFile(tmp_path / "m.safetensors") as file,
    ):
        file.read("w")


def test_the_library_reads_what_is_written(tmp_path):
    """The same bytes each time, wide numbers first so that all are aligned."""
    tensors = {
        "a": np.ones(3, ml_dtypes.bfloat16),
        "b": np.arange(6, dtype=np.float32).reshape(2, 3).T,
        "c": np.float64(5).reshape(()),
        "d": np.zeros([0, 2], np.float16),
    }
    for name in ("1", "2"):
        write_safetensors(tmp_path / name, tensors, metadata={"format": "pt"})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()
    loaded = load_file(tmp_path / "1")
    for name, value in tensors.items():
        assert loaded[name].dtype == value.dtype
        np.testing.assert_array_equal(loaded[name], value)
    with safe_open(tmp_path / "1", "np") as file:
        assert file.metadata()["format"] == "pt"
        assert set(json.loads(file.metadata()["keras_bert_suite.xxh3_64"])) == set(tensors)
    content = (tmp_path / "1").read_bytes()
    assert int.from_bytes(content[:8], "little") % 8 == 0


def test_integers_are_not_written(tmp_path):
    with pytest.raises(ValueError, match="'w' must be of F16, BF16, F32, F64. Received: int8"):
        write_safetensors(tmp_path / "m", {"w": np.ones(2, np.int8)})
    assert not list(tmp_path.iterdir())


def test_arrays_of_hdf5(tmp_path):
    for name in ("own", "foreign"):
        with h5py.File(tmp_path / name, "w") as file:
            file["a/w"] = np.zeros(2, np.float32)
    write_arrays(tmp_path / "own", {"a/w": np.float32([2e6, 1])})
    with h5py.File(tmp_path / "foreign", "r+") as file:
        file["a/w"][...] = [2e6, 1]
    with H5File(tmp_path / "own") as file:
        assert file.read("a/w").tolist() == [2e6, 1]
    with H5File(tmp_path / "foreign") as file, pytest.raises(ValueError, match="must hold weights"):
        file.read("a/w")
    with h5py.File(tmp_path / "own", "r+") as file:
        file["a/w"][1] = 2
    with H5File(tmp_path / "own") as file, pytest.raises(ValueError, match="is not what was writt"):
        file.read("a/w")


def test_a_float_of_another_layout_is_refused(tmp_path):
    with h5py.File(tmp_path / "f", "w") as file:
        file["w"] = np.ones(2, ">f4")
    with H5File(tmp_path / "f") as file, pytest.raises(ValueError, match="'w' must be of float16"):
        file.read("w")
