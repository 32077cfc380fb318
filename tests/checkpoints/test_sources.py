"""Which format a path has, and what is no checkpoint."""

from __future__ import annotations

import shutil

import pytest

from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model, save_model
from keras_bert_suite.checkpoints.sources import find_source


@pytest.fixture
def directory(tiny, tmp_path):
    save_model(tiny.make_model("mlm"), tmp_path / "m")
    return tmp_path / "m"


def test_a_file_stands_for_itself(tiny, directory):
    shutil.copy(directory / "model.safetensors", directory / "other.safetensors")
    (directory / "model.safetensors").write_bytes(b"")
    load_model(directory / "other.safetensors")
    with pytest.raises(ValueError, match="model.safetensors: not a whole"):
        load_model(directory / "model.safetensors")


def test_safetensors_go_first(directory):
    (directory / "pytorch_model.bin").write_bytes(b"damaged")
    assert find_source(directory).weights.name == "model.safetensors"
    load_encoder(directory)
    (directory / "model.safetensors").unlink()
    with pytest.raises(ValueError, match="pytorch_model.bin: not a whole file of torch.save"):
        load_encoder(directory)


@pytest.mark.parametrize("name", ["", "config.json", "model.safetensors"])
def test_links_that_lead_nowhere(directory, tmp_path, name):
    path = directory / name if name else tmp_path / "loop"
    if name:
        path.unlink()
    path.symlink_to(path.name)
    with pytest.raises(ValueError, match=f"{path.name}: a symbolic link that leads back to itself"):
        load_model(directory if name else path)
    path.unlink()
    path.symlink_to("nothing")
    with pytest.raises(ValueError, match=f"{path.name}: a symbolic link that leads nowhere"):
        load_model(directory if name else path)


def test_a_link_to_a_whole_file(directory, tmp_path):
    """Caches of downloads are made of links."""
    shutil.move(directory / "model.safetensors", tmp_path / "blob")
    (directory / "model.safetensors").symlink_to("../blob")
    load_model(directory)
