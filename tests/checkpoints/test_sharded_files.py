"""An index and its files; an index that leaves its directory."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch_archives

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile, write_safetensors
from keras_bert_suite.checkpoints.sharded_files import ShardedFiles

_INDEX = "model.safetensors.index.json"


def _write_index(folder, weight_map, name=_INDEX):
    text = json.dumps({"metadata": {"total_size": 1}, "weight_map": weight_map})
    (folder / name).write_text(text)


@pytest.fixture
def folder(tmp_path):
    """Two files with the tensors a, b and c."""
    write_safetensors(tmp_path / "1.safetensors", {"a": np.ones(2, np.float32)})
    others = {"b": np.zeros(3, np.float32), "c": np.full(1, 7, np.float32)}
    write_safetensors(tmp_path / "2.safetensors", others)
    _write_index(tmp_path, {"a": "1.safetensors", "b": "2.safetensors", "c": "2.safetensors"})
    return tmp_path


def _open(folder):
    return ShardedFiles(folder / _INDEX, SafetensorsFile)


def test_reading(folder):
    with _open(folder) as file:
        assert file.names == {"a", "b", "c"}
        assert file.shape("b") == (3,)
        np.testing.assert_array_equal(file.read("c"), [7])


@pytest.mark.parametrize("layout", ["safetensors", "bin"])
def test_a_model(tiny, tmp_path, layout):
    model = tiny.make_model("mlm")
    save_model(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    tensors = huggingface.write_weights(model.encoder, model.heads)
    names = sorted(tensors)
    weight_map = {n: f"part-{i % 2}.{layout}" for i, n in enumerate(names)}
    for part in (0, 1):
        path = tmp_path / f"part-{part}.{layout}"
        arrays = {name: tensors[name] for name in names[part::2]}
        (write_safetensors if layout == "safetensors" else torch_archives.write)(path, arrays)
    whole = "model.safetensors" if layout == "safetensors" else "pytorch_model.bin"
    _write_index(tmp_path, weight_map, name=f"{whole}.index.json")
    assert tiny.weight_values(load_model(tmp_path)) == tiny.weight_values(model)


@pytest.mark.parametrize("place", ["../x.safetensors", "/etc/passwd", "a/b", "..", "", 3, "a\\b"])
def test_a_place_outside(folder, place):
    _write_index(folder, {"a": place})
    with pytest.raises(ValueError, match="index.json: its files must lie beside it"):
        _open(folder)


def test_a_missing_file(folder):
    (folder / "2.safetensors").unlink()
    with pytest.raises(FileNotFoundError, match="its file 2.safetensors is missing"):
        _open(folder)


def test_a_tensor_in_two_files(folder):
    write_safetensors(folder / "1.safetensors", {n: np.ones(1, np.float32) for n in "ab"})
    _write_index(folder, {"a": "1.safetensors", "b": "1.safetensors", "c": "2.safetensors"})
    with pytest.raises(ValueError, match="'b' is in two files, 1.safetensors and 2.safetensors"):
        _open(folder)


def test_an_index_that_disagrees(folder):
    _write_index(folder, {"a": "1.safetensors", "b": "2.safetensors"})
    with pytest.raises(ValueError, match="does not name c, which 2.safetensors holds"):
        _open(folder)
    _write_index(folder, {"a": "1.safetensors", "d": "1.safetensors"})
    with pytest.raises(ValueError, match="says that 1.safetensors holds d; it does not"):
        _open(folder)


@pytest.mark.parametrize(
    "text, message",
    [
        ("{", "must be JSON in UTF-8"),
        ("[]", 'must have a "weight_map"'),
        ('{"weight_map": {}}', 'must have a "weight_map"'),
        ('{"weight_map": {"a": "1", "a": "2"}}', "names 'a' more than once"),
    ],
)
def test_a_damaged_index(folder, text, message):
    (folder / _INDEX).write_text(text)
    with pytest.raises(ValueError, match=message):
        _open(folder)
