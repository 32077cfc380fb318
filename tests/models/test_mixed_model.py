"""Rows of differently tuned models in one batch: each is answered as by its own model alone."""

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import tuned_models

import keras_bert_suite as kbs
from keras_bert_suite.checkpoints.adapters import mixed
from keras_bert_suite.tuning.method import TuningMethod

_TARGETS = ["attention_output", "intermediate", "output", "value"]
# Name -> method, its options, task
_MODELS = {
    "lora": ("lora", {}, "classification"),
    "wide_lora": ("lora", {"lora_rank": 3, "lora_targets": _TARGETS}, "qa"),
    "houlsby": ("houlsby", {"houlsby_size": 5}, "labeling"),
    "other_houlsby": ("houlsby", {"houlsby_size": 3}, "classification"),
    "pfeiffer": ("pfeiffer", {}, "classification"),
    "bitfit": ("bitfit", {}, "labeling"),
    "head": ("head", {}, "classification"),
    "prefix": ("prefix", {"prefix_length": 3}, "qa"),
    "long_prefix": ("prefix", {"prefix_length": 5}, "classification"),
}


@pytest.fixture(scope="module")
def adapters(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    base = toy.write_model_directory(root / "base")
    found = kbs.AdapterSet(base)
    for seed, (name, (method, options, task)) in enumerate(_MODELS.items()):
        method = TuningMethod.from_options(method, options)
        tuned_models.write(base, root / name, method, task=task, seed=seed)
        found.add(name, root / name)
    tuned_models.write(base, root / "prompt", TuningMethod.from_options("prompt", {}))
    found.add("prompt", root / "prompt")
    return found


def _of(adapters, names):
    return mixed({name: adapters[name] for name in names})


def _batch():
    tokens = ("token_ids", "segment_ids", "padding_mask")
    return {key: tf.constant(tuned_models.batch()[key]) for key in tokens}


def _check(adapters, model, batch, ids):
    answers = model({**batch, "variant_ids": tf.constant(ids, tf.int32)})
    for number, name in enumerate(model.names):
        rows = np.flatnonzero(np.array(ids) == number)
        alone = adapters[name](batch)
        assert set(answers[name]) == set(alone)
        for key, logits in alone.items():
            expected = np.asarray(logits)[rows]
            np.testing.assert_allclose(answers[name][key], expected, atol=1e-5, err_msg=name)
    return answers


@pytest.mark.parametrize(
    "names",
    [
        ["lora", "wide_lora"],
        ["houlsby", "other_houlsby"],
        ["bitfit", "lora", "pfeiffer", "houlsby"],
        ["prefix", "head", "long_prefix"],
        ["head"],
        [*_MODELS],
    ],
    ids="+".join,
)
def test_each_row_is_answered_as_by_its_own_model(adapters, names):
    model, batch = _of(adapters, names), _batch()
    ids = np.random.default_rng(0).permutation(np.arange(16) % len(names))
    _check(adapters, model, batch, ids)
    _check(adapters, model, batch, [len(names) - 1] * 16)  # no row for the others


def test_the_models_differ_and_rows_do_not_influence_each_other(adapters):
    names = ["lora", "other_houlsby", "pfeiffer", "head", "long_prefix"]
    model, batch = _of(adapters, names), _batch()
    first = {key: tf.repeat(value[:1], 5, axis=0) for key, value in batch.items()}
    scores = _check(adapters, model, first, [0, 1, 2, 3, 4])
    rows = np.concatenate([scores[name]["label_logits"] for name in names])
    assert len({tuple(row) for row in rows.round(3)}) == 5
    order = np.array([3, 0, 4, 1, 2])
    again = model(
        {
            **{key: tf.concat([value[:1]] * 5 + [value[1:4]], 0) for key, value in batch.items()},
            "variant_ids": tf.constant([*order, 0, 1, 1]),
        }
    )
    for number, name in enumerate(names):
        np.testing.assert_allclose(again[name]["label_logits"][0], rows[number], atol=1e-5)


def test_rows_that_others_make_wider(adapters):
    model, batch = _of(adapters, ["lora", "houlsby"]), _batch()
    lengths = tf.reduce_sum(batch["padding_mask"], 1)
    batch = {key: tf.gather(value, tf.argsort(lengths)) for key, value in batch.items()}
    width = int(tf.sort(lengths)[2])
    ids = tf.constant([1] * 3 + [0] * 13)
    tags = model({**batch, "variant_ids": ids, "widths": tf.constant([50, width])})["houlsby"]
    expected = adapters["houlsby"]({key: value[:3, :width] for key, value in batch.items()})
    assert width < batch["token_ids"].shape[1]
    np.testing.assert_allclose(tags["tag_logits"], expected["tag_logits"], atol=1e-5)


def test_nothing_is_copied(adapters):
    model = _of(adapters, [*_MODELS])
    known = {id(v.value) for name in _MODELS for v in adapters[name].weights}
    assert {id(v.value) for v in model._encoder.weights} <= known


def test_what_cannot_be_told_apart(adapters):
    with pytest.raises(ValueError, match="all that differs. prompt has its own .*prompt_embedd"):
        adapters.mixed()
    with pytest.raises(ValueError, match="needs a tuned part at least. Received: none"):
        _of(adapters, [])
