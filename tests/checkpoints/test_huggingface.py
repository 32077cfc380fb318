"""The rename table of Hugging Face's BERT: literal names, literal places, older spellings."""

from __future__ import annotations

import numpy as np
import pytest

from keras_bert_suite.checkpoints import huggingface
from keras_bert_suite.checkpoints.huggingface import CurrentNames
from keras_bert_suite.checkpoints.huggingface_tables import TABLES

# What transformers 5.23 stores for a BertForPreTraining of one layer, shapes for the tiny encoder.
_ENCODER = {
    "bert.embeddings.word_embeddings.weight": (11, 4),
    "bert.embeddings.position_embeddings.weight": (8, 4),
    "bert.embeddings.token_type_embeddings.weight": (2, 4),
    "bert.embeddings.LayerNorm.weight": (4,),
    "bert.embeddings.LayerNorm.bias": (4,),
    "bert.encoder.layer.0.attention.self.query.weight": (4, 4),
    "bert.encoder.layer.0.attention.self.query.bias": (4,),
    "bert.encoder.layer.0.attention.self.key.weight": (4, 4),
    "bert.encoder.layer.0.attention.self.key.bias": (4,),
    "bert.encoder.layer.0.attention.self.value.weight": (4, 4),
    "bert.encoder.layer.0.attention.self.value.bias": (4,),
    "bert.encoder.layer.0.attention.output.dense.weight": (4, 4),
    "bert.encoder.layer.0.attention.output.dense.bias": (4,),
    "bert.encoder.layer.0.attention.output.LayerNorm.weight": (4,),
    "bert.encoder.layer.0.attention.output.LayerNorm.bias": (4,),
    "bert.encoder.layer.0.intermediate.dense.weight": (6, 4),
    "bert.encoder.layer.0.intermediate.dense.bias": (6,),
    "bert.encoder.layer.0.output.dense.weight": (4, 6),
    "bert.encoder.layer.0.output.dense.bias": (4,),
    "bert.encoder.layer.0.output.LayerNorm.weight": (4,),
    "bert.encoder.layer.0.output.LayerNorm.bias": (4,),
    "bert.pooler.dense.weight": (4, 4),
    "bert.pooler.dense.bias": (4,),
}
_HEADS = {
    "mlm": {
        "cls.predictions.bias": (11,),
        "cls.predictions.transform.dense.weight": (4, 4),
        "cls.predictions.transform.dense.bias": (4,),
        "cls.predictions.transform.LayerNorm.weight": (4,),
        "cls.predictions.transform.LayerNorm.bias": (4,),
    },
    "nsp": {"cls.seq_relationship.weight": (2, 4), "cls.seq_relationship.bias": (2,)},
    "classification": {"classifier.weight": (3, 4), "classifier.bias": (3,)},
    "labeling": {"classifier.weight": (3, 4), "classifier.bias": (3,)},
    "qa": {"qa_outputs.weight": (2, 4), "qa_outputs.bias": (2,)},
}
_TIES = TABLES["bert"].ties


class _Memory:
    """A TensorSource of arrays."""

    path = "model.safetensors"

    def __init__(self, tensors):
        self._tensors = tensors
        self.names = set(tensors)

    def shape(self, name):
        return self._tensors[name].shape

    def read(self, name):
        return self._tensors[name]


def _written(model):
    return huggingface.write_weights(model.encoder, model.heads)


def _read(tensors, model):
    source = CurrentNames(_Memory(tensors))
    return huggingface.read_weights(source, model.encoder, model.heads)


def _assert_same(model, other, tiny):
    assert tiny.weight_values(model) == tiny.weight_values(other)


@pytest.mark.parametrize(
    "kinds",
    [
        ("mlm", "nsp"),
        ("mlm",),
        ("nsp",),
        ("classification",),
        ("mlm", "classification"),
        ("labeling",),
        ("qa",),
    ],
)
def test_names_and_shapes_literally(tiny, kinds):
    expected = dict(_ENCODER)
    for kind in kinds:
        expected.update(_HEADS[kind])
    tensors = _written(tiny.make_model(*kinds))
    assert {name: value.shape for name, value in tensors.items()} == expected


def test_an_encoder_alone_has_no_prefix(tiny):
    names = set(_written(tiny.make_model()))
    assert names == {name.removeprefix("bert.") for name in _ENCODER}


def test_each_value_lies_where_it_belongs(tiny):
    model = tiny.make_model("mlm", "nsp")
    tensors, encoder = _written(model), model.encoder
    fused = encoder.blocks[0].attention.query_key_value.kernel.numpy()
    prefix = "bert.encoder.layer.0."
    for index, part in enumerate(("query", "key", "value")):
        ours = fused[:, 4 * index : 4 * index + 4]
        np.testing.assert_array_equal(tensors[f"{prefix}attention.self.{part}.weight"], ours.T)
    ours = encoder.blocks[0].feed_forward.intermediate.kernel.numpy()
    np.testing.assert_array_equal(tensors[f"{prefix}intermediate.dense.weight"], ours.T)
    ours = encoder.blocks[0].feed_forward_norm.gamma.numpy()
    np.testing.assert_array_equal(tensors[f"{prefix}output.LayerNorm.weight"], ours)
    ours = encoder.embeddings.segment_embeddings.embeddings.numpy()
    np.testing.assert_array_equal(tensors["bert.embeddings.token_type_embeddings.weight"], ours)
    ours = model.heads["mlm"].bias.numpy()
    np.testing.assert_array_equal(tensors["cls.predictions.bias"], ours)


def test_what_is_written_is_read_again(tiny):
    model, other = (tiny.make_model("mlm", "nsp", seed=seed) for seed in (0, 1))
    assert tiny.weight_values(model) != tiny.weight_values(other)
    assert _read(_written(model), other)
    _assert_same(model, other, tiny)


def _old_norms(name):
    return name.replace("Norm.weight", "Norm.gamma").replace("Norm.bias", "Norm.beta")


@pytest.mark.parametrize(
    "spelling", [_old_norms, lambda name: name.removeprefix("bert."), lambda name: name]
)
def test_older_spellings(tiny, spelling):
    model, other = (tiny.make_model("mlm", seed=seed) for seed in (0, 1))
    assert _read({spelling(name): value for name, value in _written(model).items()}, other)
    _assert_same(model, other, tiny)


def test_two_spellings_of_one_tensor(tiny):
    tensors = _written(tiny.make_model())
    tensors["bert.pooler.dense.bias"] = tensors["pooler.dense.bias"]
    with pytest.raises(
        ValueError, match="'bert.pooler.dense.bias' and 'pooler.dense.bias' are two"
    ):
        CurrentNames(_Memory(tensors))


def test_known_extra_tensors(tiny):
    model, other = (tiny.make_model("mlm", seed=seed) for seed in (0, 1))
    tensors = _written(model)
    tensors["bert.embeddings.position_ids"] = np.arange(8)[None]
    tensors["cls.predictions.decoder.weight"] = tensors["bert.embeddings.word_embeddings.weight"]
    tensors["cls.predictions.decoder.bias"] = tensors["cls.predictions.bias"]
    assert _read(tensors, other)
    _assert_same(model, other, tiny)


@pytest.mark.parametrize("name", ["cls.predictions.decoder.weight", "cls.predictions.decoder.bias"])
def test_untied_weights_are_refused(tiny, name):
    model = tiny.make_model("mlm")
    tensors = _written(model)
    tensors[name] = tensors[_TIES[name]] + 1
    with pytest.raises(ValueError, match=f"'{name}' must equal '{_TIES[name]}'"):
        _read(tensors, model)


def test_a_missing_and_a_strange_tensor(tiny):
    model = tiny.make_model()
    tensors = _written(model)
    tensors["encoder.layer.0.crossattention.weight"] = tensors.pop("pooler.dense.bias")
    with pytest.raises(ValueError) as error:
        _read(tensors, model)
    assert "Missing: bert.pooler.dense.bias." in str(error.value)
    assert "Not in the model: bert.encoder.layer.0.crossattention.weight" in str(error.value)


def _without_pooler(model):
    return {name: value for name, value in _written(model).items() if "pooler" not in name}


@pytest.mark.parametrize("kinds", [(), ("mlm",)])
def test_no_pooler_leaves_ours_as_it_was(tiny, kinds):
    model, other = (tiny.make_model(*kinds, seed=seed) for seed in (0, 1))
    before = other.encoder.pooler.kernel.numpy()
    assert not _read(_without_pooler(model), other)
    np.testing.assert_array_equal(other.encoder.pooler.kernel.numpy(), before)
    other.encoder.pooler.set_weights(model.encoder.pooler.get_weights())
    _assert_same(model, other, tiny)


@pytest.mark.parametrize("kind", ["nsp", "classification"])
def test_a_head_on_the_pooler_needs_it(tiny, kind):
    model = tiny.make_model(kind)
    with pytest.raises(ValueError, match="Missing: bert.pooler.dense.bias, bert.pooler.dense.weig"):
        _read(_without_pooler(model), model)


def test_sizes_are_compared_before_a_model_is_made(tiny):
    source = CurrentNames(_Memory(_written(tiny.make_model())))
    values = tiny.CONFIG.to_huggingface()
    huggingface.check_sizes(values, 1, source)
    for key, name, axis in TABLES["bert"].sizes:
        wrong = {**values, key: 10**12}
        shape = list(source.shape(name))
        with pytest.raises(ValueError) as error:
            huggingface.check_sizes(wrong, 1, source)
        assert str(error.value) == (
            f"model.safetensors: tensor '{name}' has the shape {shape}, but config.json says "
            f"{key}=1000000000000. One of the two files belongs to another model"
        )
        assert shape[axis] == values[key]


def test_layers_are_counted(tiny):
    source = CurrentNames(_Memory(_written(tiny.make_model())))
    with pytest.raises(
        ValueError, match="holds 1 layers, but config.json says num_hidden_layers=2"
    ):
        huggingface.check_sizes(tiny.CONFIG.to_huggingface(), 2, source)


def test_a_missing_embedding(tiny):
    tensors = _written(tiny.make_model())
    del tensors["embeddings.position_embeddings.weight"]
    source = CurrentNames(_Memory(tensors))
    with pytest.raises(ValueError, match="'bert.embeddings.position_embeddings.weight' is missing"):
        huggingface.check_sizes(tiny.CONFIG.to_huggingface(), 1, source)
