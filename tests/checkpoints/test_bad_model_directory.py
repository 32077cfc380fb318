"""What a user may hand us as a model directory, and what each says."""

from __future__ import annotations

import os

import numpy as np
import pytest

from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    read_encoder_config,
    save_model,
)


@pytest.fixture
def directory(tiny, tmp_path):
    save_model(tiny.make_model("mlm", "classification"), tmp_path / "m")
    return tmp_path / "m"


def test_no_directory(tmp_path):
    with pytest.raises(FileNotFoundError, match="none: no such directory. A model directory ho"):
        load_model(tmp_path / "none")


def test_a_file(tmp_path):
    (tmp_path / "model").write_text("x")
    with pytest.raises(ValueError, match="model: must be a model directory. Found: a file"):
        load_model(tmp_path / "model")


def test_no_config(tmp_path):
    with pytest.raises(FileNotFoundError, match="no config.json in it. A model directory holds"):
        load_model(tmp_path)
    (tmp_path / "log.jsonl").write_text("")
    with pytest.raises(FileNotFoundError, match="no config.json in it. Its training has not ended"):
        load_model(tmp_path)


@pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[" * 100_000, b""])
def test_config_is_not_json(directory, text):
    (directory / "config.json").write_bytes(text)
    with pytest.raises(ValueError, match=r"config\.json: must be JSON in UTF-8"):
        load_model(directory)


def test_config_is_no_object(directory):
    (directory / "config.json").write_text("[1]")
    with pytest.raises(ValueError, match=r"config\.json: must be a JSON object. Received: \[1\]"):
        load_model(directory)


def test_unknown_model_type(tiny, directory):
    tiny.edit_config(directory, model_type="gpt2")
    for read in (load_model, load_encoder, read_encoder_config):
        with pytest.raises(ValueError, match=r"config\.json: `model_type` must be.*'gpt2'"):
            read(directory)


def test_no_weights(directory):
    os.rename(directory / "model.safetensors", directory / "weights.safetensors")
    with pytest.raises(FileNotFoundError, match="no model.safetensors in it.*Found instead: weigh"):
        load_model(directory)
    os.remove(directory / "weights.safetensors")
    with pytest.raises(FileNotFoundError, match="no model.safetensors in it.*Save the model"):
        load_model(directory)


def test_truncated_weights(directory):
    content = (directory / "model.safetensors").read_bytes()
    (directory / "model.safetensors").write_bytes(content[:-1])
    with pytest.raises(ValueError, match="not a whole .safetensors file"):
        load_model(directory)


@pytest.mark.parametrize(
    "key, value",
    [
        ("vocab_size", 12),
        ("vocab_size", 10**12),
        ("hidden_size", 8),
        ("max_position_embeddings", 9),
        ("type_vocab_size", 3),
        ("intermediate_size", 7),
    ],
)
def test_sizes_that_contradict_the_tensors(tiny, directory, key, value):
    tiny.edit_config(directory, **{key: value})
    with pytest.raises(ValueError, match=f"config.json says {key}={value}. One of the two"):
        load_model(directory)


def test_number_of_layers(tiny, directory):
    tiny.edit_config(directory, num_hidden_layers=2)
    with pytest.raises(ValueError, match="config.json says num_hidden_layers=2"):
        load_model(directory)


def test_number_of_labels(tiny, directory):
    tiny.edit_config(directory, id2label={"0": "a", "1": "b"})
    with pytest.raises(ValueError, match=r"'classifier.weight' must have .*\[2, 4\].*\[3, 4\]"):
        load_model(directory)


def test_no_label_names_and_no_tensor(tiny, directory):
    tiny.edit_config(directory, id2label=None)
    tiny.edit_tensors(directory, lambda tensors: tensors.pop("classifier.bias"))
    with pytest.raises(ValueError, match=r"config\.json: `labels` must name at least two"):
        load_model(directory)


def test_a_wrong_shape(tiny, directory):
    name = "bert.pooler.dense.weight"
    tiny.edit_tensors(directory, lambda tensors: tensors.update({name: np.ones(5, np.float32)}))
    with pytest.raises(ValueError, match=rf"'{name}' must have the shape \[4, 4\].*Found: \[5\]"):
        load_model(directory)


def test_a_missing_tensor(tiny, directory):
    tiny.edit_tensors(directory, lambda tensors: tensors.pop("cls.predictions.bias"))
    with pytest.raises(
        ValueError, match=r"Missing: cls\.predictions\.bias\. Not in the model: none"
    ):
        load_model(directory)


def test_an_extra_tensor_of_the_encoder(tiny, directory):
    extra = {"bert.encoder.layer.0.adapter.weight": np.ones(3, np.float32)}
    tiny.edit_tensors(directory, lambda tensors: tensors.update(extra))
    for read in (load_model, load_encoder):
        with pytest.raises(ValueError, match="Not in the model: bert.encoder.layer.0.adapter.w"):
            read(directory)


def test_an_extra_tensor_of_no_head(tiny, directory):
    extra = {"qa_outputs.weight": np.ones(3, np.float32)}
    tiny.edit_tensors(directory, lambda tensors: tensors.update(extra))
    with pytest.raises(ValueError, match="holds tensors of no head in config.json: qa_outputs.w"):
        load_model(directory)
    load_encoder(directory)


def test_a_tensor_that_is_not_finite(tiny, directory):
    def edit(tensors):
        tensors["bert.pooler.dense.weight"][1, 2] = np.nan

    tiny.edit_tensors(directory, edit)
    with pytest.raises(ValueError, match=r"'bert.pooler.dense.weight' must be finite\. 1 of its"):
        load_model(directory)


def test_a_tensor_of_integers(tiny, directory):
    name = "bert.pooler.dense.bias"
    tiny.edit_tensors(directory, lambda tensors: tensors.update({name: np.ones(4, np.int8)}))
    with pytest.raises(ValueError, match=rf"model\.safetensors: tensor '{name}' must be of F16"):
        load_model(directory)


def test_heads_that_contradict_the_architecture(tiny, directory):
    tiny.edit_config(directory, architectures=["BertForMaskedLM"])
    with pytest.raises(ValueError, match=r"config\.json: `architectures` .* contradicts the hea"):
        load_model(directory)
