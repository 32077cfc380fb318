"""pytorch_model.bin in both layouts, byte by byte, and what wants to pass for one."""

from __future__ import annotations

import os
import pickle
import zipfile

import ml_dtypes
import numpy as np
import pytest
import torch_archives as archives

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.checkpoints.torch_file import TorchFile

_BOTH = pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])


def _arrays():
    values = np.arange(12, dtype=np.float32).reshape(3, 4) / 7
    return {
        "a": values,
        "b": values.astype(np.float64) + 1,
        "c": values.astype(np.float16) + 2,
        "d": values.astype(ml_dtypes.bfloat16) + 3,
        "e": np.arange(5),
        "f": np.float32(8).reshape(()),
    }


@_BOTH
def test_every_dtype(tmp_path, legacy):
    arrays = _arrays()
    archives.write(tmp_path / "m.bin", arrays, legacy=legacy)
    with TorchFile(tmp_path / "m.bin") as file:
        assert file.names == set(arrays)
        for name, array in arrays.items():
            assert file.shape(name) == array.shape
            if name == "e":
                with pytest.raises(ValueError, match="'e' must be of float16,.*Found: int64"):
                    file.read(name)
                continue
            read = file.read(name)
            assert read.dtype == array.dtype and read.tobytes() == array.tobytes()


@_BOTH
def test_views_of_one_storage(tmp_path, legacy):
    storage = np.arange(12, dtype=np.float32)
    entries = {
        "whole": archives.tensor("0", "float32", 12, [3, 4], [4, 1], legacy=legacy),
        "transposed": archives.tensor("0", "float32", 12, [4, 3], [1, 4], legacy=legacy),
        "part": archives.tensor("0", "float32", 12, [2, 2], [4, 1], offset=5, legacy=legacy),
    }
    layout = archives.legacy_file if legacy else archives.zip_file
    (tmp_path / "m.bin").write_bytes(layout(entries, {"0": storage}))
    with TorchFile(tmp_path / "m.bin") as file:
        np.testing.assert_array_equal(file.read("whole"), storage.reshape(3, 4))
        np.testing.assert_array_equal(file.read("transposed"), storage.reshape(3, 4).T)
        np.testing.assert_array_equal(file.read("part"), [[5, 6], [9, 10]])


@_BOTH
def test_a_model(tiny, tmp_path, legacy):
    model = tiny.make_model("mlm", "nsp")
    save_model(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    tensors = huggingface.write_weights(model.encoder, model.heads)
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    archives.write(tmp_path / "pytorch_model.bin", tensors, legacy=legacy)
    assert tiny.weight_values(load_model(tmp_path)) == tiny.weight_values(model)


class _Evil:
    def __init__(self, function, *arguments):
        self._call = (function, arguments)

    def __reduce__(self):
        return self._call


@pytest.mark.parametrize("protocol", range(6))
@pytest.mark.parametrize("legacy", [False, True], ids=["zip", "legacy"])
def test_a_pickle_that_runs_a_command(tmp_path, protocol, legacy):
    marker = tmp_path / "marker"
    evil = pickle.dumps({"a": _Evil(os.system, f"touch {marker}")}, protocol)
    if legacy:
        start = archives.legacy_file({}, {})
        evil = start.replace(archives.state_dict({}), evil)
        (tmp_path / "m.bin").write_bytes(evil)
    else:
        with zipfile.ZipFile(tmp_path / "m.bin", "w") as archive:
            archive.writestr("archive/data.pkl", evil)
    with pytest.raises(ValueError, match=r"m.bin: .*names 'posix.system', .*refused, and nothing"):
        TorchFile(tmp_path / "m.bin")
    assert not marker.exists()


@pytest.mark.parametrize(
    "name",
    ["builtins eval", "numpy.core.multiarray _reconstruct", "torch load", "torch.nn Linear"]
    + ["collections defaultdict", "torch._utils _rebuild_sparse_tensor", "os  system"],
)
def test_any_other_name(tmp_path, name):
    module, function = name.split(" ", 1)
    call = f"c{module}\n{function}\n".encode() + b")R"
    (tmp_path / "m.bin").write_bytes(archives.zip_file({"a": call}, {}))
    with pytest.raises(ValueError, match="is not needed to build tensors; it is refused"):
        TorchFile(tmp_path / "m.bin")


@pytest.mark.parametrize(
    "operations, message",
    [
        (b"i" + b"os\nsystem\n", "names 'os.system', which is not needed"),
        (b"\x82\x01", "the operation EXT1, which no tensor needs; it is refused"),
        (b"}}\x81", "the operation NEWOBJ"),
        (b"cposix\nsystem\n", "names 'posix.system'"),
        (b"ctorch\nFloatStorage\n)R", "damaged.*a call of torch FloatStorage"),
        (b"h\x07", "the pickle is damaged"),
        (b"r\xff\xff\xff\x7f", "not a whole file of torch.save"),
        (b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", "not a whole file of torch.save"),
    ],
)
def test_other_operations(tmp_path, operations, message):
    (tmp_path / "m.bin").write_bytes(archives.zip_file({"a": operations}, {}))
    with pytest.raises(ValueError, match=message):
        TorchFile(tmp_path / "m.bin")


@_BOTH
@pytest.mark.parametrize(
    "change, message",
    [
        ({"shape": [3, 5]}, r"the shape \[3, 5\] reaches beyond its 12|has the strides"),
        ({"offset": 1}, r"the shape \[3, 4\] reaches beyond its 12 stored numbers"),
        ({"strides": [0, 1]}, r"the shape \[3, 4\] has the strides \[0, 1\]"),
        ({"shape": [10**12], "strides": [0]}, "has the strides"),
        ({"shape": [10**12], "strides": [1]}, "reaches beyond"),
        ({"shape": [-1, 4]}, "without storage, shape or strides"),
        ({"strides": [4]}, "without storage, shape or strides"),
        ({"count": 13}, "must have 52 bytes by data.pkl, and has 48|must have 13 numbers, has 12"),
        ({"count": 10**15}, "must have"),
        ({"key": "1"}, "the archive lacks archive/data/1|belongs to no tensor"),
    ],
)
def test_tensors_that_lie_outside(tmp_path, change, message, legacy):
    fields = {"key": "0", "kind": "float32", "count": 12, "shape": [3, 4], "strides": [4, 1]}
    entries = {"a": archives.tensor(**{**fields, **change}, legacy=legacy)}
    layout = archives.legacy_file if legacy else archives.zip_file
    (tmp_path / "m.bin").write_bytes(layout(entries, {"0": np.zeros(12, np.float32)}))
    with pytest.raises(ValueError, match=message):
        TorchFile(tmp_path / "m.bin")


def test_a_changed_number_is_seen_in_a_zip(tmp_path):
    archives.write(tmp_path / "m.bin", {"a": np.full(64, 3.0, np.float32)})
    content = bytearray((tmp_path / "m.bin").read_bytes())
    content[content.index(np.full(64, 3.0, np.float32).tobytes()) + 7] ^= 1
    (tmp_path / "m.bin").write_bytes(content)
    with (
        TorchFile(tmp_path / "m.bin") as file,
        pytest.raises(ValueError, match="'a' cannot be read .*CRC-32"),
    ):
        file.read("a")


def test_compressed(tmp_path):
    parts = archives.entries_of({"a": np.zeros(1000, np.float32)})
    content = archives.zip_file(*parts, compression=zipfile.ZIP_DEFLATED)
    (tmp_path / "m.bin").write_bytes(content)
    with pytest.raises(ValueError, match="compressed, which torch.save never does"):
        TorchFile(tmp_path / "m.bin")


def test_what_is_no_state_dict(tmp_path):
    for entries, message in (
        ({"epoch": archives.number(3)}, "'epoch' is a int. Save model.state_dict"),
        ({"model": archives.state_dict({})[2:-1]}, "'model' is a dict"),
    ):
        (tmp_path / "m.bin").write_bytes(archives.zip_file(entries, {}))
        with pytest.raises(ValueError, match=message):
            TorchFile(tmp_path / "m.bin")
    for content in (b"", b"x", b"PK\x03\x04", b"\x80\x02K\x01.", pickle.dumps([1])):
        (tmp_path / "m.bin").write_bytes(content)
        with pytest.raises(ValueError, match="m.bin: not a whole file of torch.save"):
            TorchFile(tmp_path / "m.bin")
    with pytest.raises(ValueError, match="Found: a directory"):
        TorchFile(tmp_path)
    with pytest.raises(FileNotFoundError):
        TorchFile(tmp_path / "none.bin")


def _outcome(path, arrays):
    """Gives "equal", "other names" (the table of the model sees them), "refused" or "wrong"."""
    try:
        with TorchFile(path) as file:
            if file.names != set(arrays):
                return "other names"
            if any(file.shape(name) != array.shape for name, array in arrays.items()):
                return "other shapes"
            read = {name: file.read(name) for name in arrays}
    except ValueError:
        return "refused"
    same = all(read[name].tobytes() == array.tobytes() for name, array in arrays.items())
    return "equal" if same else "wrong"


@_BOTH
def test_mutated_files(tmp_path, legacy):
    """Bits flipped anywhere but among the numbers of the legacy layout, which has no checksums."""
    arrays = {f"layer.{i}.weight": np.float32(np.arange(12) + i).reshape(3, 4) for i in range(4)}
    archives.write(tmp_path / "m.bin", arrays, legacy=legacy)
    original = (tmp_path / "m.bin").read_bytes()
    end = len(original) - 4 * (8 + 48) if legacy else len(original)
    generator, outcomes = np.random.default_rng(0), []
    for index in range(150):
        content = bytearray(original)
        if index % 5 == 4:
            del content[generator.integers(len(original)) :]
        else:
            content[generator.integers(end)] ^= 1 << generator.integers(8)
        (tmp_path / "m.bin").write_bytes(content)
        outcomes.append(_outcome(tmp_path / "m.bin", arrays))
        assert outcomes[-1] != "wrong", index
        assert index % 5 != 4 or outcomes[-1] == "refused"
    assert outcomes.count("refused") > 75
