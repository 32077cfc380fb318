"""transformers' tf_model.h5, under the names that its TensorFlow models wrote."""

from __future__ import annotations

import subprocess
import sys

import h5py
import numpy as np
import pytest

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.h5_file import H5File
from keras_bert_suite.checkpoints.model_directory import load_model, save_model


def _tf_name(name):
    """transformers 4.40, TFBertForPreTraining: the top group, the rest of the path, how it lies."""
    groups = {"bert": "bert", "cls.predictions": "mlm___cls", "cls.seq_relationship": "nsp___cls"}
    group = next(group for start, group in groups.items() if name.startswith(start))
    path = name.replace("cls.", f"{group}.", 1).replace("layer.0.", "layer_0.").split(".")
    if "LayerNorm" in path:
        path[-1] = {"weight": "gamma", "bias": "beta"}[path[-1]]
    elif path[-1] == "weight" and "embeddings" in name:
        path[-1] = "weight" if "word_embeddings" in path else "embeddings"
    elif path[-1] == "weight":
        path[-1] = "kernel"
    joined = "/".join(path).replace("layer_0/", "layer_._0/")
    return f"{group}/tf_bert_for_pre_training/{joined}:0", path[-1] == "kernel"


@pytest.fixture
def directory(tiny, tmp_path):
    """A tf_model.h5 in a directory of its own, and its model."""
    model = tiny.make_model("mlm", "nsp")
    save_model(model, tmp_path)
    (tmp_path / "model.safetensors").unlink()
    with h5py.File(tmp_path / "tf_model.h5", "w") as file:
        for name, value in huggingface.write_weights(model.encoder, model.heads).items():
            theirs, transposed = _tf_name(name)
            file[theirs] = value.T if transposed else value
            if "word_embeddings" in name:  # the head's group repeats what it shares
                file[theirs.replace("bert/", "mlm___cls/", 1)] = value
    return tmp_path, model


def test_tf_model(tiny, directory):
    path, model = directory
    loaded = load_model(path)
    assert list(loaded.heads) == ["mlm", "nsp"]
    assert tiny.weight_values(loaded) == tiny.weight_values(model)


def test_two_embeddings_that_differ(directory):
    with h5py.File(directory[0] / "tf_model.h5", "r+") as file:
        name = "tf_bert_for_pre_training/bert/embeddings/word_embeddings/weight:0"
        file[f"mlm___cls/{name}"][0, 0] += 1
    with pytest.raises(ValueError, match="are one tensor of the model, and differ"):
        load_model(directory[0])


def test_numbers_that_lie_elsewhere(tmp_path):
    path = tmp_path / "m.h5"
    (tmp_path / "raw").write_bytes(bytes(16))
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (4,), "float32", external=[(tmp_path / "raw", 0, 16)])
    with pytest.raises(ValueError, match="'a' must store its numbers plainly"):
        H5File(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", data=np.zeros(1000), compression="gzip")
    with pytest.raises(ValueError, match="'a' must store its numbers plainly"):
        H5File(path)
    with h5py.File(path, "w") as file:
        file.create_dataset("a", (10**12,), "float32")
    with pytest.raises(ValueError, match="'a' claims 4000000000000 bytes and stores 0"):
        H5File(path)
    with h5py.File(path, "w") as file:
        file["a"] = h5py.ExternalLink("other.h5", "a")
        file["b"] = np.arange(3)
    with H5File(path) as file:
        assert file.names == {"b"}
        with pytest.raises(ValueError, match="'b' must be of float16.*Found: int64"):
            file.read("b")


def test_no_h5_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        H5File(tmp_path / "none.h5")
    with pytest.raises(ValueError, match="Found: a directory"):
        H5File(tmp_path)
    (tmp_path / "m.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(100))
    with pytest.raises(ValueError, match="m.h5: not a whole HDF5 file"):
        H5File(tmp_path / "m.h5")


_MUTATE = """
import sys
import numpy as np
from keras_bert_suite.checkpoints.h5_file import H5File
path = sys.argv[1]
original = open(path, "rb").read()
generator, outcomes = np.random.default_rng(0), []
for index in range(60):
    content = bytearray(original)
    if index % 3 == 0:
        del content[generator.integers(len(content)):]
    else:
        content[generator.integers(len(content))] ^= 1 << generator.integers(8)
    open(path, "wb").write(content)
    try:
        with H5File(path) as file:
            for name in file.names:
                file.read(name)
        outcomes.append("read")
    except ValueError:
        outcomes.append("refused")
    if index % 3 == 0:
        assert outcomes[-1] == "refused", index
print(outcomes.count("refused"), len(outcomes))
"""


def test_mutated_files(directory, repository):
    """HDF5 has no checksums; what is damaged must not take the process down. It has its own."""
    command = [sys.executable, "-c", _MUTATE, str(directory[0] / "tf_model.h5")]
    done = subprocess.run(command, capture_output=True, text=True, cwd=repository, check=False)
    assert done.returncode == 0, done.stderr
    refused, total = map(int, done.stdout.split())
    assert total == 60 and refused >= 20
