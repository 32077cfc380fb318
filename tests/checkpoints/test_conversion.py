"""From one format to another: the report, what is refused, whole or not at all."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from keras_bert_suite.checkpoints import conversion, parity
from keras_bert_suite.checkpoints.conversion import convert
from keras_bert_suite.checkpoints.model_directory import load_model, read_config, save_model


def test_to_hugging_face_and_back_is_bitwise(tiny, tmp_path):
    model = tiny.make_model("mlm", "classification")
    save_model(model, tmp_path / "m", extra={"task": {"name": "classification"}})
    result = convert(tmp_path / "m", tmp_path / "out", allow_missing=["tokenizer"])
    assert (result.format, result.heads) == ("huggingface", ["mlm", "classification"])
    assert tiny.weight_values(load_model(tmp_path / "out")) == tiny.weight_values(model)
    assert read_config(tmp_path / "out") == read_config(tmp_path / "m")


def test_the_report(tiny, tmp_path):
    save_model(tiny.make_model("nsp"), tmp_path / "m")
    convert(tmp_path / "m", tmp_path / "out", allow_missing=["tokenizer"])
    report = json.loads((tmp_path / "out" / "parity.json").read_text())
    reread = report["comparisons"]["result_reread"]
    names = ["embeddings", "layer_0", "pooled_output", "nsp_logits"]
    assert reread["layers"] == dict.fromkeys(names, 0.0)
    assert reread["largest_difference"] == 0
    assert report["notes"][0].startswith("tokenizer: ")


def test_without_a_tokenizer(tiny, tmp_path):
    save_model(tiny.make_model("nsp"), tmp_path / "m")
    with pytest.raises(ValueError, match="has no vocabulary.*--allow_missing=tokenizer"):
        convert(tmp_path / "m", tmp_path / "out")
    assert os.listdir(tmp_path) == ["m"]


def test_a_head_of_an_unknown_class(tiny, tmp_path):
    save_model(tiny.make_model("classification"), tmp_path / "m")
    tiny.edit_config(tmp_path / "m", architectures=["BertForFun"], keras_bert_suite=None)
    with pytest.raises(ValueError, match="BertForFun. Load its.*--allow_missing=head"):
        convert(tmp_path / "m", tmp_path / "out", allow_missing=["tokenizer"])
    result = convert(tmp_path / "m", tmp_path / "out", allow_missing=["tokenizer", "head"])
    assert result.heads == []
    assert read_config(tmp_path / "out")["architectures"] == ["BertModel"]


def test_wrong_arguments(tiny, tmp_path):
    save_model(tiny.make_model(), tmp_path / "m")
    with pytest.raises(ValueError, match="format must be one of huggingface, keras_hub.*'onnx'"):
        convert(tmp_path / "m", tmp_path / "out", file_format="onnx")
    with pytest.raises(ValueError, match="may be missing must be of head, .*Received: 'all'"):
        convert(tmp_path / "m", tmp_path / "out", allow_missing=["all"])
    with pytest.raises(ValueError, match="m: exists already. Choose another place"):
        convert(tmp_path / "m", tmp_path / "m")
    with pytest.raises(FileNotFoundError, match="none: no such directory"):
        convert(tmp_path / "none", tmp_path / "out")


def test_a_result_with_other_weights_does_not_appear(tiny, tmp_path, monkeypatch):
    model = tiny.make_model()
    save_model(model, tmp_path / "m")
    model.encoder.pooler.bias.assign([1, 2, 3, 4])
    monkeypatch.setattr(conversion, "_load", lambda source, notes: model)
    other = tiny.make_model(seed=5)
    monkeypatch.setattr(
        conversion, "save_model", lambda model, folder, **_: save_model(other, folder)
    )
    with pytest.raises(ValueError, match="read again, has other weights: embeddings.word"):
        convert(tmp_path / "m", tmp_path / "out", allow_missing=["tokenizer"])
    assert os.listdir(tmp_path) == ["m"]


def test_differences_leave_the_padding_out():
    mask = np.array([[1, 0]])
    ours = {"layer_0": np.zeros([1, 2, 1]), "label_logits": np.zeros([1, 2]), "x": np.zeros(1)}
    theirs = {"layer_0": np.array([[[0.5], [9.0]]]), "label_logits": np.array([[0, 0.25]])}
    expected = {"layer_0": 0.5, "label_logits": 0.25}
    assert parity.differences(ours, theirs, mask) == expected
    assert parity.report(expected, "x")["largest_difference"] == 0.5
