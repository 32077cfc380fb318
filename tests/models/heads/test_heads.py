import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead

_CONFIG = EncoderConfig(vocab_size=7, hidden_size=4, num_layers=1, num_heads=1, intermediate_size=4)


@pytest.fixture
def encoded():
    return {
        "sequence_output": tf.random.normal([2, 3, 4]),
        "pooled_output": tf.random.normal([2, 4]),
        "token_embedding_table": tf.random.normal([7, 4]),
    }


def _heads():
    return [
        MaskedLMHead.for_encoder(_CONFIG),
        NextSentenceHead.for_encoder(_CONFIG),
        ClassificationHead.for_encoder(_CONFIG, labels=["no", "yes", "maybe"]),
    ]


_TARGETS = {
    "prediction_positions": tf.constant([[0, 2], [1, 0]]),
    "prediction_ids": tf.constant([[3, 4], [5, 0]]),
    "prediction_weights": tf.constant([[1.0, 1.0], [1.0, 0.0]]),
    "next_sentence_labels": tf.constant([0, 1]),
    "label_ids": tf.constant([2, 0]),
    "example_weights": tf.constant([1.0, 0.0]),
}


@pytest.mark.parametrize("head", _heads(), ids=lambda head: head.kind)
def test_every_head_keeps_the_contract(head, encoded):
    twin = type(head).from_config(head.get_config())
    assert twin.get_config() == head.get_config()
    assert [v.shape for v in twin.weights] == [v.shape for v in head.weights]

    outputs = head(encoded, _TARGETS)
    assert all(logits.dtype == tf.float32 for logits in outputs.values())
    terms = head.loss_terms(outputs, _TARGETS)
    assert tuple(terms) == head.terms
    assert head.target_key in _TARGETS
    # the weight that scales the gradient is known before the forward pass, and is the loss's own
    weights = head.loss_weights(_TARGETS)
    assert {term: float(pair[1]) for term, pair in terms.items()} == {
        t: float(w) for t, w in weights.items()
    }
    metrics = head.metric_terms(outputs, _TARGETS)
    assert tuple(metrics) == head.metric_names
    for total, weight in metrics.values():
        assert 0 <= float(total) <= float(weight)

    for empty in (
        head.loss_weights({}),
        head.loss_terms(outputs, {}),
        head.metric_terms(outputs, {}),
    ):
        assert empty == {}

    half = type(head).from_config({**head.get_config(), "dtype": "mixed_bfloat16"})
    half.set_weights(head.get_weights())
    for name, logits in half(encoded, _TARGETS).items():
        assert logits.dtype == tf.float32
        np.testing.assert_allclose(logits, outputs[name], atol=0.1)


def test_masked_lm_projects_the_prediction_positions_on_the_tied_table(encoded):
    head = MaskedLMHead.for_encoder(_CONFIG)
    head.bias.assign(np.arange(7.0))
    everywhere = head(encoded, {})["mlm_logits"]
    assert everywhere.shape == (2, 3, 7)
    chosen = head(encoded, _TARGETS)["mlm_logits"]
    assert chosen.shape == (2, 2, 7)
    np.testing.assert_allclose(chosen[0, 1], everywhere[0, 2], atol=1e-6)
    np.testing.assert_allclose(chosen[1, 0], everywhere[1, 1], atol=1e-6)

    hidden = encoded["sequence_output"].numpy()[0, 2] @ head.transform.kernel.numpy()
    hidden = keras.activations.gelu(hidden, approximate=False).numpy()
    hidden = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-12)
    expected = encoded["token_embedding_table"].numpy() @ hidden + np.arange(7.0)
    np.testing.assert_allclose(everywhere[0, 2], expected, atol=1e-5)


def test_only_rows_with_weight_count(encoded):
    head = ClassificationHead.for_encoder(_CONFIG, labels=["a", "b", "c"])
    outputs = {"label_logits": tf.math.log([[0.2, 0.3, 0.5], [0.9, 0.05, 0.05]])}
    total, weight = head.loss_terms(outputs, _TARGETS)["label"]
    np.testing.assert_allclose([total, weight], [-np.log(0.5), 1.0], rtol=1e-6)
    without = {key: value for key, value in _TARGETS.items() if key != "example_weights"}
    total, weight = head.loss_terms(outputs, without)["label"]
    np.testing.assert_allclose([total, weight], [-np.log(0.5) - np.log(0.9), 2.0], rtol=1e-6)


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["one"], "at least two classes"), (["a", "b", "a"], r"Received twice: \['a'\]")],
)
def test_labels_must_be_two_and_differ(labels, message):
    with pytest.raises(ValueError, match=message):
        ClassificationHead(labels=labels, hidden_size=4)
