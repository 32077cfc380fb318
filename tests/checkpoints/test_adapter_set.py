"""Adapters that share a base: each answers to the bit as alone, and the base is in memory once."""

import json

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import tuned_models

import keras_bert_suite as kbs
from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model, save_model
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile
from keras_bert_suite.tuning.method import TuningMethod

# Method -> task and the key of its logits
_ADAPTERS = {
    "head": ("classification", "label_logits"),
    "bitfit": ("labeling", "tag_logits"),
    "lora": ("qa", "start_logits"),
    "houlsby": ("labeling", "tag_logits"),
    "pfeiffer": ("classification", "label_logits"),
    "prefix": ("qa", "end_logits"),
    "prompt": ("classification", "label_logits"),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return toy.write_model_directory(tmp_path_factory.mktemp("base") / "encoder")


@pytest.fixture(scope="module")
def directories(base, tmp_path_factory):
    root = tmp_path_factory.mktemp("tuned")
    for seed, (name, (task, _)) in enumerate(_ADAPTERS.items()):
        method = TuningMethod.from_options(name, {})
        tuned_models.write(base, root / name, method, task=task, seed=seed)
    return {name: root / name for name in _ADAPTERS}


def test_every_method_answers_as_alone_in_memory_for_one_base(base, directories):
    adapters, batch = kbs.AdapterSet(base), tuned_models.batch()
    before = [np.array(weight) for weight in adapters.encoder.weights]
    for name, directory in directories.items():
        adapters.add(name, directory)
    assert adapters.names == tuple(_ADAPTERS)
    for name, (_, key) in [*_ADAPTERS.items()] * 2:  # whatever was asked before
        alone = load_model(directories[name])
        np.testing.assert_array_equal(
            adapters(batch, adapter=name)[key], alone(batch)[key], err_msg=name
        )
        assert adapters[name].tuned.method == alone.tuned.method
    for weight, value in zip(adapters.encoder.weights, before, strict=True):
        np.testing.assert_array_equal(weight, value)

    of_base = {id(weight.value) for weight in adapters.encoder.weights}
    for name in _ADAPTERS:
        model = adapters[name]
        own = {id(v.value): v for v in model.weights if id(v.value) not in of_base}
        saved = {id(v.value) for v in model.tuned.method.saved(model)}
        assert set(own) == saved, name
        assert {id(v.value) for v in model.trainable_variables} == saved
    models = [adapters.encoder, *(adapters[name] for name in _ADAPTERS)]
    sizes = {id(v.value): int(np.prod(v.shape)) for model in models for v in model.weights}
    stored = [SafetensorsFile(path / "adapter_model.safetensors") for path in directories.values()]
    tuned = sum(int(np.prod(file.shape(name))) for file in stored for name in file.names)
    assert sum(sizes.values()) == adapters.encoder.count_params() + tuned


def test_one_learns_and_the_others_stay(base, directories):
    adapters, batch = kbs.AdapterSet(base), tuned_models.batch()
    learning = adapters.add("learning", directories["bitfit"])
    adapters.add("other", directories["lora"])
    before = adapters(batch, adapter="other")["start_logits"].numpy()
    first = adapters(batch, adapter="learning")["tag_logits"].numpy()
    learning.compile("adam")
    learning.fit(tf.data.Dataset.from_tensors(batch), verbose=0)
    assert np.abs(adapters(batch, adapter="learning")["tag_logits"] - first).max() > 1e-4
    np.testing.assert_array_equal(adapters(batch, adapter="other")["start_logits"], before)


def test_names_and_directories_that_do_not_fit(base, directories, tmp_path):
    adapters = kbs.AdapterSet(base)
    adapters.add("a", directories["head"])
    with pytest.raises(ValueError, match="name is used once. Received again: 'a'. Take another"):
        adapters.add("a", directories["lora"])
    with pytest.raises(ValueError, match="There is no adapter 'b'. Known: 'a'"):
        adapters(tuned_models.batch(), adapter="b")
    adapters.remove("a")
    with pytest.raises(ValueError, match="There is no adapter 'a'. Known: none"):
        adapters.remove("a")
    with pytest.raises(ValueError, match="belongs to the tuned part of a model, and .* a whole"):
        adapters.add("base", base)
    other = load_encoder(base)
    other.weights[0].assign_add(np.ones(other.weights[0].shape))
    save_model(other, tmp_path / "other", tokenizer=toy.tokenizer())
    tuned_models.write(
        tmp_path / "other", tmp_path / "of_other", TuningMethod.from_options("lora", {})
    )
    with pytest.raises(ValueError, match="and that is not its base: it had"):
        adapters.add("other", tmp_path / "of_other")


def test_a_base_without_a_pooler_and_peft_s_reference_by_name(base, directories, tmp_path):
    """The classifier's pooler is its own then; the set's base counts, not the hub's name."""
    encoder = kbs.Encoder(toy.encoder_config().replace(use_pooler=False))
    save_model(encoder, tmp_path / "base", tokenizer=toy.tokenizer())
    lora = tmp_path / "lora"
    tuned_models.write(tmp_path / "base", lora, TuningMethod.from_options("lora", {}))
    expected = load_model(lora)(tuned_models.batch())["label_logits"]
    (lora / "config.json").unlink()
    file = lora / "adapter_config.json"
    values = json.loads(file.read_text()) | {"base_model_name_or_path": "google-bert/bert-base"}
    file.write_text(json.dumps(values))
    adapters = kbs.AdapterSet(tmp_path / "base")
    adapters.add("lora", lora)
    found = adapters(tuned_models.batch(), adapter="lora")["label_logits"]
    np.testing.assert_array_equal(found, expected)
