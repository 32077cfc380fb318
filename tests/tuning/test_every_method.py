"""What holds for every tuning method: it learns, keeps the rest, saves the tuned part alone."""

import json
import shutil

import keras
import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import tuned_models

from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    read_config,
    save_model,
)
from keras_bert_suite.layers import token_layout
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.tuning.method import TuningMethod

_D, _LAYERS = 32, 2
_HEAD = 3 * _D + 3 + _D * _D + _D  # the classifier, and the pooler before it
# Biases of q, k, v, attention output, intermediate (64) and output, two betas; the embeddings' beta
_BIASES = _LAYERS * (3 * _D + _D + 64 + _D + 2 * _D) + _D
_NORMS = (2 * _LAYERS + 1) * 2 * _D


def _houlsby(m):
    return 2 * m * _D + _D + m


# What learns with the classification head, by the formulas of the papers.
_COUNTS = {
    "head": _HEAD,
    "bitfit": _BIASES + _HEAD,
    "lora": _LAYERS * 2 * (_D * 8 + 8 * _D) + _HEAD,
    "houlsby": _LAYERS * 2 * _houlsby(64) + _NORMS + _HEAD,
    "pfeiffer": _LAYERS * _houlsby(_D // 16) + _HEAD,
    "prefix": 20 * _LAYERS * 2 * _D + _HEAD,
    "prompt": 20 * _D + _HEAD,
}
_METHODS = sorted(_COUNTS)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return toy.write_model_directory(tmp_path_factory.mktemp("base") / "encoder")


def _trained(base, name, **options):
    model = tuned_models.make(base, TuningMethod.from_options(name, {}), **options)
    model.compile(keras.optimizers.Adam(0.01))
    return model


def _values(variables):
    return [np.array(variable) for variable in variables]


def test_every_method_is_here():
    known = {name for name in TuningMethod.alternatives() if "test" not in name}
    assert known - {"full"} == set(_METHODS)


@pytest.mark.parametrize("name", _METHODS)
def test_it_learns_every_kind_of_task_and_moves_nothing_else(base, name, tmp_path):
    """One model with three heads; then that of classification alone is saved and loaded."""
    keras.utils.set_random_seed(3)
    model, batch = _trained(base, name), tuned_models.batch()
    method = model.tuned.method
    saved = {id(v) for v in method.saved(model)}
    assert {id(v) for v in model.trainable_variables} == saved
    frozen = [v for v in model.weights if id(v) not in saved]
    before = _values(frozen), _values(model.trainable_variables)
    repeated = tf.data.Dataset.from_tensors(batch).repeat(4)
    means = model.fit(repeated, epochs=2, verbose=0).history  # each of four steps
    for term in ("label", "tag", "qa"):
        assert means[f"{term}_loss"][1] < means[f"{term}_loss"][0]
    for variable, old in zip(frozen, before[0], strict=True):
        np.testing.assert_array_equal(variable, old, err_msg=variable.path)
    for variable, old in zip(model.trainable_variables, before[1], strict=True):
        # A bias that is added to the scores of all tokens alike changes no probability.
        if variable.path != "question/classifier/bias":
            assert np.any(np.array(variable) != old), variable.path
    of_optimizer = sum(np.prod(v.shape) for v in model.optimizer.variables if len(v.shape))
    assert of_optimizer == 2 * sum(np.prod(v.shape) for v in model.trainable_variables)

    _check_directory(model, batch, tmp_path / "tuned")


def _check_directory(model, batch, directory):
    """The classifier saved and loaded is the same to the bit; merged it is the same to 1e-5."""
    tuned, method = model.tuned, model.tuned.method
    model = BertModel(model.encoder, [model.heads["classification"]])
    model.tuned = tuned
    learning = [v for v in method.saved(model)]
    assert sum(np.prod(v.shape) for v in learning) == _COUNTS[method.name]
    expected = model(batch)["label_logits"].numpy()
    save_model(model, directory)
    assert not (directory / "model.safetensors").exists()
    size = (directory / "adapter_model.safetensors").stat().st_size
    assert size < 4 * _COUNTS[method.name] + 10_000
    loaded = load_model(directory)
    np.testing.assert_array_equal(loaded(batch)["label_logits"], expected)
    assert loaded.tuned == tuned
    assert len(loaded.trainable_variables) == len(learning)
    original = token_layout.shapes_must_be_static
    token_layout.shapes_must_be_static = lambda: True
    try:
        np.testing.assert_allclose(loaded(batch)["label_logits"], expected, atol=1e-5)
    finally:
        token_layout.shapes_must_be_static = original
    again = type(model).from_config(model.get_config())
    again.set_weights(model.get_weights())
    np.testing.assert_array_equal(again(batch)["label_logits"], expected)
    if not method.mergeable:
        with pytest.raises(ValueError, match=f"{method.name!r} cannot be merged: "):
            adapters.merged(loaded)
        return
    plain = adapters.merged(loaded)
    assert plain.encoder.attached == ()
    save_model(plain, directory)
    assert sorted(path.name for path in directory.iterdir()) == ["config.json", "model.safetensors"]
    merged = load_model(directory)
    np.testing.assert_allclose(merged(batch)["label_logits"], expected, atol=1e-5)


def test_a_base_that_moved_or_changed(base, tmp_path):
    home = tmp_path / "home"
    shutil.copytree(base, home / "base")
    model = tuned_models.make(
        home / "base", TuningMethod.from_options("bitfit", {}), tasks=["classification"]
    )
    save_model(model, home / "tuned")
    assert read_config(home / "tuned")["keras_bert_suite"]["tuning"] == {"name": "bitfit"}
    shutil.copytree(home, tmp_path / "both")
    shutil.rmtree(home)
    load_model(tmp_path / "both" / "tuned")  # both moved together
    other = load_encoder(tmp_path / "both" / "base")
    other.weights[0].assign_add(np.ones(other.weights[0].shape))
    save_model(other, tmp_path / "both" / "base")
    with pytest.raises(ValueError, match="its base has changed since: .* or tune anew"):
        load_model(tmp_path / "both" / "tuned")
    shutil.rmtree(tmp_path / "both" / "base")
    with pytest.raises(ValueError, match=r"is not at .*base any more. Move the base back"):
        load_model(tmp_path / "both" / "tuned")
    config = tmp_path / "both" / "tuned" / "config.json"
    values = json.loads(config.read_text())
    values["keras_bert_suite"]["base"] = {"path": "x"}
    config.write_text(json.dumps(values))
    with pytest.raises(ValueError, match='"base" under "keras_bert_suite" must be an object with'):
        load_model(tmp_path / "both" / "tuned")


def test_what_cannot_be_tuned(base, tmp_path):
    lora = TuningMethod.from_options("lora", {})
    model = tuned_models.make(base, lora, tasks=["classification"])
    with pytest.raises(ValueError, match="is tuned already, by layers of its own. Merge it first"):
        adapters.apply(model, lora, base=base)
    model.tuned = None
    with pytest.raises(ValueError, match="a plain model, or a tuned part whose base is known"):
        save_model(model, tmp_path / "nowhere")
    plain = BertModel(load_encoder(base), [])
    with pytest.raises(ValueError, match="fresh ones .--from_scratch. are worth nothing"):
        adapters.apply(plain, lora, base=None)
    with pytest.raises(ValueError, match="--tuning=head leaves nothing to learn"):
        adapters.apply(plain, TuningMethod.from_options("head", {}), base=base)


@pytest.mark.parametrize(
    "name, options, message",
    [
        ("lora", {"lora_rank": 0}, "--lora_rank must be at least 1. Received: 0"),
        ("lora", {"lora_alpha": 0.0}, "--lora_alpha must be positive. Received: 0.0"),
        ("lora", {"lora_dropout": 1.0}, "--lora_dropout must be in .0, 1.. Received: 1.0"),
        ("lora", {"lora_targets": ["query", "keys"]}, "some of query, .* Received: query, keys"),
        ("houlsby", {"houlsby_size": 0}, "--houlsby_size must be at least 1. Received: 0"),
        ("prefix", {"prefix_length": 0}, "--prefix_length must be at least 1. Received: 0"),
        ("prompt", {"prompt_length": 0}, "--prompt_length must be at least 1. Received: 0"),
        ("pfeiffer", {"pfeiffer_reduction": 0}, "--pfeiffer_reduction must be at least 1"),
    ],
)
def test_options_out_of_range(name, options, message):
    with pytest.raises(ValueError, match=message):
        TuningMethod.from_options(name, options)
