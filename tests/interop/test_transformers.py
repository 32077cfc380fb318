"""What is saved here opens in transformers with the same numbers, and the reverse."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead

pytestmark = pytest.mark.interop

_CONFIG = EncoderConfig(
    vocab_size=50,
    hidden_size=16,
    num_layers=2,
    num_heads=4,
    intermediate_size=32,
    max_positions=12,
)
_TOLERANCE = 1e-4  # issue: equal logits to 1e-4; the weights below make logits of the order of 10


def _batch():
    """Three rows of 9, 5 and 1 real tokens, in two segments."""
    generator = np.random.default_rng(7)
    padding_mask = (np.arange(9)[None] < np.array([[9], [5], [1]])).astype(np.int32)
    return {
        "token_ids": generator.integers(1, 50, [3, 9], dtype=np.int32) * padding_mask,
        "segment_ids": (np.arange(9)[None] >= np.array([[4], [2], [1]])).astype(np.int32),
        "padding_mask": padding_mask,
    }


def _save_inputs(path, batch):
    np.savez(
        path,
        input_ids=batch["token_ids"].astype(np.int64),
        token_type_ids=batch["segment_ids"].astype(np.int64),
        attention_mask=batch["padding_mask"].astype(np.int64),
    )


def _randomize(model):
    """Large weights, so that each tensor matters and none may be swapped for another."""
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.normal(0, 0.3, weight.shape).astype(np.float32))


def _forward(run, directory, class_name, batch, folder):
    _save_inputs(folder / "inputs.npz", batch)
    report = run("forward", directory, class_name, folder / "inputs.npz", folder / "outputs.npz")
    return json.loads(report.splitlines()[-1]), np.load(folder / "outputs.npz")


def _assert_equal_hidden_states(encoder, batch, outputs):
    ours = encoder(batch, return_all_hidden_states=True)["all_hidden_states"]
    real = batch["padding_mask"][None, :, :, None]
    theirs = outputs["hidden_states"] * real
    np.testing.assert_allclose(np.stack(ours) * real, theirs, atol=_TOLERANCE)


def _assert_equal_pretraining(model, batch, outputs):
    logits = model(batch)
    real = batch["padding_mask"][:, :, None]
    theirs = outputs["prediction_logits"] * real
    np.testing.assert_allclose(logits["mlm_logits"] * real, theirs, atol=_TOLERANCE)
    theirs = outputs["seq_relationship_logits"]
    np.testing.assert_allclose(logits["nsp_logits"], theirs, atol=_TOLERANCE)
    _assert_equal_hidden_states(model.encoder, batch, outputs)


@pytest.mark.parametrize("activation", ["gelu", "gelu_tanh", "relu", "silu"])
def test_pretraining_model_opens_in_transformers(transformers_run, tmp_path, activation):
    config = _CONFIG.replace(activation=activation)
    heads = [MaskedLMHead.for_encoder(config), NextSentenceHead.for_encoder(config)]
    model = BertModel(Encoder(config), heads)
    _randomize(model)
    save_model(model, tmp_path / "model")
    batch = _batch()
    report, outputs = _forward(
        transformers_run, tmp_path / "model", "BertForPreTraining", batch, tmp_path
    )
    assert report["missing_keys"] == report["unexpected_keys"] == report["mismatched_keys"] == []
    _assert_equal_pretraining(model, batch, outputs)


def test_classifier_opens_in_transformers(transformers_run, tmp_path):
    head = ClassificationHead.for_encoder(_CONFIG, labels=["no", "yes", "perhaps"])
    model = BertModel(Encoder(_CONFIG), [head])
    _randomize(model)
    save_model(model, tmp_path / "model")
    batch = _batch()
    report, outputs = _forward(
        transformers_run, tmp_path / "model", "BertForSequenceClassification", batch, tmp_path
    )
    assert report["missing_keys"] == report["unexpected_keys"] == report["mismatched_keys"] == []
    assert report["id2label"] == {"0": "no", "1": "yes", "2": "perhaps"}
    np.testing.assert_allclose(model(batch)["label_logits"], outputs["logits"], atol=_TOLERANCE)


def test_encoder_opens_in_transformers(transformers_run, tmp_path):
    encoder = Encoder(_CONFIG)
    _randomize(encoder)
    save_model(encoder, tmp_path / "model")
    batch = _batch()
    report, outputs = _forward(transformers_run, tmp_path / "model", "BertModel", batch, tmp_path)
    assert report["missing_keys"] == report["unexpected_keys"] == report["mismatched_keys"] == []
    _assert_equal_hidden_states(encoder, batch, outputs)
    pooled = encoder(batch)["pooled_output"]
    np.testing.assert_allclose(pooled, outputs["pooler_output"], atol=_TOLERANCE)


@pytest.mark.parametrize(
    "class_name, heads",
    [
        ("BertModel", []),
        ("BertForPreTraining", ["mlm", "nsp"]),
        ("BertForMaskedLM", ["mlm"]),
        ("BertForNextSentencePrediction", ["nsp"]),
        ("BertForSequenceClassification", ["classification"]),
    ],
)
def test_model_of_transformers_opens_here(transformers_run, tmp_path, class_name, heads):
    config = {**_CONFIG.to_huggingface(), "id2label": {"0": "a", "1": "b", "2": "c"}}
    (tmp_path / "config.json").write_text(json.dumps(config), encoding="utf-8")
    transformers_run("make", tmp_path / "model", class_name, tmp_path / "config.json")
    model, batch = load_model(tmp_path / "model"), _batch()
    assert list(model.heads) == heads
    _, outputs = _forward(transformers_run, tmp_path / "model", class_name, batch, tmp_path)
    _assert_equal_hidden_states(model.encoder, batch, outputs)
    logits, real = model(batch), batch["padding_mask"][:, :, None]
    if class_name == "BertForPreTraining":
        _assert_equal_pretraining(model, batch, outputs)
    elif class_name == "BertForMaskedLM":
        theirs = outputs["logits"] * real
        np.testing.assert_allclose(logits["mlm_logits"] * real, theirs, atol=_TOLERANCE)
    elif heads:
        (ours,) = logits.values()
        np.testing.assert_allclose(ours, outputs["logits"], atol=_TOLERANCE)


@pytest.mark.parametrize("lowercase", [True, False])
def test_tokenizer_opens_in_transformers(transformers_run, tmp_path, lowercase):
    from keras_bert_suite.text.tokenizer import Tokenizer

    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "The", "cafe", "Café", "un"]
    words += ["##aff", "##able", ",", "!", "力", "加", "a", "b", "##b", "##c"]
    tokenizer = Tokenizer(words, lowercase=lowercase)
    config = _CONFIG.replace(vocab_size=len(words))
    save_model(Encoder(config), tmp_path / "model", tokenizer=tokenizer)
    texts = ["The unaffable Café, abc!", "力加 the cafe", "", "the " * 30]
    pairs = ["abbc", "unaffable!", "a", "b " * 20]
    (tmp_path / "texts.json").write_text(json.dumps([texts, pairs]), encoding="utf-8")
    transformers_run("tokenize", tmp_path / "model", tmp_path / "texts.json", tmp_path / "ids.json")
    theirs = json.loads((tmp_path / "ids.json").read_text(encoding="utf-8"))
    ours = tokenizer(texts, pairs, max_length=24)
    for row, ids in enumerate(theirs["input_ids"]):
        real = slice(0, int(np.sum(ours["padding_mask"][row])))
        assert np.asarray(ours["token_ids"])[row, real].tolist() == ids
        assert np.asarray(ours["segment_ids"])[row, real].tolist() == theirs["token_type_ids"][row]
    assert theirs["slow_input_ids"] == theirs["input_ids"]
    assert theirs["specials"] == [0, 2, 3, 4, 1]
