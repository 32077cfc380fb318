"""Tuned parts exported: the artifact answers as the base and the tuned part in Keras do."""

import json

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import tuned_models

from keras_bert_suite.checkpoints.model_directory import load_model
from keras_bert_suite.serving import artifact_check, saved_model
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.tuning.method import TuningMethod

_TEXTS = [text for text, _ in toy.texts(5)]
_METHODS = sorted(
    name
    for name in TuningMethod.alternatives()
    if TuningMethod.named(name).keeps_base and "test" not in name
)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return toy.write_model_directory(tmp_path_factory.mktemp("base") / "encoder")


def _served(path):
    servable = Servable(path, name="x", version=1)
    signature = servable.signatures["serving_default"]
    inputs = {"text": np.array([text.encode() for text in _TEXTS], object)}
    return servable.run(signature, inputs, ["scores"])["scores"]


def _in_keras(directory):
    logits = load_model(directory)(toy.tokenizer()(_TEXTS, max_length=16))["label_logits"]
    return tf.nn.softmax(logits).numpy()


def _num_weights(path):
    variables = tf.train.list_variables(str(path / "variables" / "variables"))
    return sum(int(np.prod(shape)) for name, shape in variables if "OBJECT_GRAPH" not in name)


@pytest.mark.slow
def test_lora_merged_and_kept(base, tmp_path, monkeypatch):
    monkeypatch.setattr(artifact_check, "check", lambda *args, **kwargs: 0.0)
    tuned_models.write(base, tmp_path / "lora", TuningMethod.from_options("lora", {}))
    expected = _in_keras(tmp_path / "lora")
    assert len(set(map(tuple, expected.round(3)))) == len(_TEXTS), "the texts must differ"
    merged = saved_model.export_model(tmp_path / "lora", tmp_path / "out").path
    kept = saved_model.export_model(tmp_path / "lora", tmp_path / "out", merge=False).path
    for path in (merged, kept):
        np.testing.assert_allclose(_served(path), expected, atol=1e-5)
    corrections = 2 * 2 * (32 * 8 + 8 * 32)  # two layers, query and value: A and B of rank 8
    assert _num_weights(kept) - _num_weights(merged) == corrections


@pytest.mark.slow
@pytest.mark.parametrize("name", _METHODS)
@pytest.mark.parametrize("task", tuned_models.TASKS)
def test_every_method_with_the_check_of_the_artifact(base, name, task, tmp_path):
    directory = tmp_path / "tuned"
    tuned_models.write(base, directory, TuningMethod.from_options(name, {}), task=task)
    base_dir = base.rename(tmp_path / "elsewhere")
    try:
        options = {"merge": False, "base_dir": base_dir}
        result = saved_model.export_model(directory, tmp_path / "out", **options)
    finally:
        base_dir.rename(base)
    assert result.difference <= 1e-5
    if task == "classification":
        np.testing.assert_allclose(_served(result.path), _in_keras(directory), atol=1e-5)
    described = json.loads((result.path / "serving.json").read_text())
    assert described["task"]["name"] == task
