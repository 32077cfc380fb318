"""Presets of KerasHub, written and opened by keras_hub itself, in and out."""

from __future__ import annotations

import json
import os

import numpy as np
import pytest

from keras_bert_suite.checkpoints import keras_hub_preset, parity
from keras_bert_suite.checkpoints.conversion import convert
from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    load_tokenizer,
    save_model,
)

_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a", "##b", "##c"]
_TOLERANCE = 1e-5  # measured: 1e-6; the weights make hidden states of the order of 1


@pytest.fixture(scope="module")
def keras_hub():
    return pytest.importorskip("keras_hub")


@pytest.fixture(scope="module")
def backbone(keras_hub):
    """A backbone with random values everywhere; 2 layers, 11 entries."""
    backbone = keras_hub.models.BertBackbone(
        vocabulary_size=11,
        num_layers=2,
        num_heads=2,
        hidden_dim=4,
        intermediate_dim=6,
        max_sequence_length=8,
    )
    generator = np.random.default_rng(3)
    for weight in backbone.weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return backbone


def _config(tiny):
    return tiny.CONFIG.replace(activation="gelu_tanh", num_layers=2)


def _assert_equal(ours, theirs, batch):
    found = parity.differences(ours, theirs, batch["padding_mask"])
    assert set(theirs) == set(found)
    assert max(found.values()) < _TOLERANCE, found


def _source(directory):
    from keras_bert_suite.checkpoints.sources import find_source

    return find_source(directory)


def test_a_preset_of_keras_hub_opens(keras_hub, backbone, tmp_path):
    tokenizer = keras_hub.models.BertTokenizer(vocabulary=_VOCABULARY, lowercase=True)
    backbone.save_to_preset(str(tmp_path))
    tokenizer.save_to_preset(str(tmp_path))
    model = load_model(tmp_path)
    assert model.encoder.config.activation == "gelu_tanh"
    batch = parity.probe(model.encoder.config)
    theirs = parity.keras_hub_answers(_source(tmp_path), batch)
    _assert_equal(parity.answers(model, batch), theirs, batch)
    assert list(theirs) == ["embeddings", "layer_0", "layer_1", "pooled_output"]
    ours = load_tokenizer(tmp_path)
    assert ours.vocabulary == tuple(_VOCABULARY) and ours.lowercase and not ours.strip_accents


def test_a_classifier_of_keras_hub_opens(keras_hub, backbone, tmp_path):
    classifier = keras_hub.models.BertTextClassifier(backbone, num_classes=3, dropout=0.3)
    classifier.save_to_preset(str(tmp_path))
    model = load_model(tmp_path)
    head = model.heads["classification"]
    assert (head.labels, head.dropout_rate) == (["LABEL_0", "LABEL_1", "LABEL_2"], 0.3)
    batch = parity.probe(model.encoder.config)
    theirs = parity.keras_hub_answers(_source(tmp_path), batch)
    assert "label_logits" in theirs
    _assert_equal(parity.answers(model, batch), theirs, batch)


def test_a_masked_lm_of_keras_hub_is_an_encoder_here(keras_hub, backbone, tmp_path, caplog):
    keras_hub.models.BertMaskedLM(backbone).save_to_preset(str(tmp_path / "preset"))
    assert load_model(tmp_path / "preset").heads == {}
    assert "left out: BertMaskedLM: its head computes what no head here computes" in caplog.text
    with pytest.raises(ValueError, match="BertMaskedLM.*all the same: --allow_missing=head"):
        convert(tmp_path / "preset", tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kinds", [pytest.param((), marks=pytest.mark.slow), ("classification",)])
def test_round_trip_is_bitwise(keras_hub, tiny, tmp_path, kinds):
    from keras_bert_suite.text.tokenizer import Tokenizer

    model = tiny.make_model(*kinds, config=_config(tiny))
    save_model(model, tmp_path / "m", tokenizer=Tokenizer(_VOCABULARY, lowercase=False))
    result = convert(tmp_path / "m", tmp_path / "preset", file_format="keras_hub")
    assert result.comparisons["result_library"]["largest_difference"] < _TOLERANCE
    opened = keras_hub.models.BertBackbone.from_preset(str(tmp_path / "preset"))
    batch = tiny.batch()
    real = batch["padding_mask"] == 1
    theirs = opened(batch)["sequence_output"].numpy()[real]
    ours = model.encoder(batch)["sequence_output"].numpy()[real]
    np.testing.assert_allclose(theirs, ours, atol=_TOLERANCE)
    tokenizer = keras_hub.models.BertTokenizer.from_preset(str(tmp_path / "preset"))
    assert tokenizer.get_vocabulary() == _VOCABULARY and not tokenizer.lowercase

    convert(tmp_path / "preset", tmp_path / "back")
    back = load_model(tmp_path / "back")
    assert tiny.weight_values(back) == tiny.weight_values(model)
    assert back.encoder.config == model.encoder.config
    assert not load_tokenizer(tmp_path / "back").lowercase
    if kinds:
        assert back.heads["classification"].labels == tiny.LABELS


@pytest.mark.parametrize(
    "change, heads, word, message",
    [
        ({"activation": "gelu"}, (), "activation", "the tanh form of GELU, this model 'gelu'"),
        ({"layer_norm_epsilon": 1e-5}, (), "epsilon", "layer_norm_epsilon=1e-12, this model 1e-05"),
        ({"local_attention": 8}, (), "local_attention", "in all layers, this model a window of 8"),
        ({"attention_dropout": 0.2}, (), "dropout", "one dropout rate, this model 0.1 and, in "),
        ({}, ("mlm", "classification", "nsp"), "head", "BERT has no such head: mlm, nsp"),
        ({}, (), "pooler", "has a pooler, this model none; it would be zeros"),
    ],
)
def test_what_has_no_place(tiny, change, heads, word, message):
    config = _config(tiny)
    whole = {"classification": None}
    assert keras_hub_preset.obstacles(config, whole, has_pooler=True) == {}
    changed, heads = config.replace(**change), dict.fromkeys(heads)
    found = keras_hub_preset.obstacles(changed, heads, has_pooler=word != "pooler")
    assert list(found) == [word] and message in found[word]


def test_another_gelu_only_when_allowed(keras_hub, tiny, tmp_path):
    model = tiny.make_model("mlm", config=_config(tiny).replace(activation="gelu"))
    save_model(model, tmp_path / "m")
    out, allowed = tmp_path / "preset", ["tokenizer", "head"]
    with pytest.raises(ValueError, match="tanh form of GELU.*--allow_missing=activation"):
        convert(tmp_path / "m", out, file_format="keras_hub", allow_missing=allowed)
    assert os.listdir(tmp_path) == ["m"]
    allowed.append("activation")
    result = convert(tmp_path / "m", out, file_format="keras_hub", allow_missing=allowed)
    assert [note.split(":")[0] for note in result.notes] == ["tokenizer", "activation", "head"]
    # The report shows what the change costs, and that KerasHub computes what was written.
    assert 0 < result.comparisons["result_reread"]["largest_difference"] < 0.01
    assert result.comparisons["result_library"]["largest_difference"] < _TOLERANCE


def test_a_tokenizer_that_keras_hub_lacks(keras_hub, tiny, tmp_path):
    from keras_bert_suite.text.tokenizer import Tokenizer

    tokenizer = Tokenizer(_VOCABULARY, split_cjk=False)
    save_model(tiny.make_model(config=_config(tiny)), tmp_path / "m", tokenizer=tokenizer)
    with pytest.raises(ValueError, match="Received: WordPieceTokenizer, split_cjk=False"):
        convert(tmp_path / "m", tmp_path / "out", file_format="keras_hub")
    assert os.listdir(tmp_path) == ["m"]


def test_a_damaged_preset(keras_hub, backbone, tmp_path):
    backbone.save_to_preset(str(tmp_path))
    values = json.loads((tmp_path / "config.json").read_text())
    for change, message in (
        (
            {"registered_name": "keras_hub>GemmaBackbone"},
            "only BertBackbone, Al.* read. .*Gemma",
        ),
        ({"config": {"num_layers": 2}}, "needs the arguments vocabulary_size, num_layers"),
        ({"config": {**values["config"], "num_layers": 3}}, "num_hidden_layers=3"),
        ({"config": {**values["config"], "num_layers": "x"}}, "num_layers"),
        ({"config": {**values["config"], "vocabulary_size": 12}}, "vocab_size=12"),
    ):
        (tmp_path / "config.json").write_text(json.dumps({**values, **change}))
        with pytest.raises(ValueError, match=message):
            load_encoder(tmp_path)
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"tokenizer.json: no such file; the preset has no token"):
        load_tokenizer(tmp_path)
    (tmp_path / "model.weights.h5").unlink()
    with pytest.raises(FileNotFoundError, match="no model.safetensors in it, nor any other"):
        load_encoder(tmp_path)
