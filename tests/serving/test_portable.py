"""ONNX and LiteRT: the file gives the model's answers, or there is no file."""

from __future__ import annotations

import json

import numpy as np
import pytest
import toy_models

import keras_bert_suite as kbs
from keras_bert_suite.serving import exporting, litert_file, onnx_file, portable
from keras_bert_suite.text.tokenizer import Tokenizer

TEXTS = ["the quick fox", "it rains over the lazy dog and over the fox", "", "dog"]


@pytest.fixture(params=["litert", "onnx"])
def format(request):
    if request.param == "onnx":
        reason = "the extra onnx is not installed"
        pytest.importorskip("tf2onnx", reason=reason)
        pytest.importorskip("onnxruntime", reason=reason)
    return request.param


def test_the_file_answers_as_the_model_with_the_tokenizer_beside_it(format, tiny_models, tmp_path):
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    result = portable.export_portable(model_dir, tmp_path / "out", format=format)
    assert result.difference <= 1e-5
    tokenizer = Tokenizer.from_directory(tmp_path / "out")
    described = json.loads((tmp_path / "out" / "serving.json").read_text())
    assert described["task"]["labels"] == ["no", "yes", "maybe"]
    assert list(described["outputs"]) == ["label_logits"]
    model = kbs.load_model(model_dir)
    for texts in (TEXTS, TEXTS[:1], TEXTS[2:3]):  # any batch, any length
        batch = tokenizer(texts, max_length=described["max_length"])
        request = {name: np.asarray(batch[name]) for name in described["inputs"]}
        (answer,) = portable.FORMATS[format].run(result.path / result.file, [request])
        wanted = model(batch)["label_logits"]
        np.testing.assert_allclose(answer["label_logits"], wanted, atol=1e-5)


def test_padding_changes_no_answer(format, tiny_models, tmp_path):
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    result = portable.export_portable(model_dir, tmp_path / "out", format=format)
    batch = kbs.load_tokenizer(model_dir)(TEXTS[:1], max_length=16)
    narrow = {name: np.asarray(batch[name]) for name in portable_inputs(result)}
    wide = {name: np.pad(array, [[0, 0], [0, 7]]) for name, array in narrow.items()}
    answers = portable.FORMATS[format].run(result.path / result.file, [narrow, wide])
    np.testing.assert_allclose(answers[0]["label_logits"], answers[1]["label_logits"], atol=1e-5)


def portable_inputs(result):
    return json.loads((result.path / "serving.json").read_text())["inputs"]


@pytest.mark.slow
@pytest.mark.parametrize("name", toy_models.NAMES)
def test_every_task(format, name, tmp_path):
    model_dir = toy_models.write_model(name, tmp_path)
    result = portable.export_portable(
        model_dir, tmp_path / "out", format=format, **toy_models.export_options(name)
    )
    assert result.difference <= 1e-5


def test_a_file_that_answers_otherwise_is_not_written(tiny_models, tmp_path, monkeypatch):
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    run = litert_file.run

    def wrong(path, requests):
        return [{name: array + 1e-3 for name, array in one.items()} for one in run(path, requests)]

    monkeypatch.setattr(litert_file, "run", wrong)
    with pytest.raises(ValueError, match="differs from the Keras model: signature litert, output"):
        portable.export_portable(model_dir, tmp_path / "out", format="litert")
    assert not (tmp_path / "out").exists()


def test_what_was_there_stays(tiny_models, tmp_path):
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    (tmp_path / "out").mkdir()
    with pytest.raises(FileExistsError, match="exists already"):
        portable.export_portable(model_dir, tmp_path / "out", format="litert")
    with pytest.raises(ValueError, match="format must be one of onnx, litert. Received: 'coreml'"):
        portable.export_portable(model_dir, tmp_path / "other", format="coreml")


def test_an_operation_that_onnx_does_not_have_is_named(tiny_models, tmp_path, monkeypatch):
    pytest.importorskip("tf2onnx", reason="the extra onnx is not installed")
    monkeypatch.setattr(onnx_file, "_OPERATIONS", {})
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    with pytest.raises(ValueError, match="ONNX cannot hold this model: .*Erfc"):
        portable.export_portable(model_dir, tmp_path / "out", format="onnx")
    assert not (tmp_path / "out").exists()


def test_the_formats_are_those_of_the_flag():
    assert (exporting.SAVED_MODEL, *portable.FORMATS) == exporting.FORMATS


def test_a_missing_library_is_named(tiny_models, tmp_path, monkeypatch):
    monkeypatch.setattr(onnx_file, "_CONVERTER", "no_such_library")
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    with pytest.raises(ValueError, match=r"needs the library no_such_library: pip install '.*onnx"):
        portable.export_portable(model_dir, tmp_path / "out", format="onnx")
