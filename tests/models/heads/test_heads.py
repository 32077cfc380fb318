import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.cloze import ClozeHead
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.multi_label import MultiLabelHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.regression import RegressionHead
from keras_bert_suite.models.heads.replaced_token import ReplacedTokenHead
from keras_bert_suite.models.heads.sentence_order import SentenceOrderHead
from keras_bert_suite.models.heads.span_boundary import SpanBoundaryHead
from keras_bert_suite.models.heads.span_question import PADDING_LOGIT, SpanQuestionHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead

_CONFIG = EncoderConfig(vocab_size=7, hidden_size=4, num_layers=1, num_heads=1, intermediate_size=4)


@pytest.fixture
def encoded():
    normal = np.random.default_rng(0).normal
    return {
        "sequence_output": tf.constant(normal(size=[2, 3, 4]), tf.float32),
        "pooled_output": tf.constant(normal(size=[2, 4]), tf.float32),
        "padding_mask": tf.constant([[1, 1, 1], [1, 1, 0]]),
        "token_embedding_table": tf.constant(normal(size=[7, 4]), tf.float32),
    }


def _heads():
    # LayerNorm over four numbers that lie close together magnifies bfloat16's rounding: some
    # weights would differ by more than the tolerance, so they are drawn the same each time.
    keras.utils.set_random_seed(0)
    return [
        MaskedLMHead.for_encoder(_CONFIG),
        ClozeHead.for_encoder(_CONFIG, word_ids=[[[1]], [[2], [3]], [[5]]], mask_id=6),
        NextSentenceHead.for_encoder(_CONFIG),
        ClassificationHead.for_encoder(_CONFIG, labels=["no", "yes", "maybe"]),
        ClassificationHead(labels=["no", "yes", "maybe"], hidden_size=4, hidden_activation="tanh"),
        SentenceOrderHead.for_encoder(_CONFIG),
        ReplacedTokenHead.for_encoder(_CONFIG),
        TokenLabelingHead.for_encoder(_CONFIG, labels=["O", "B", "I"]),
        SpanQuestionHead.for_encoder(_CONFIG),
        SpanBoundaryHead.for_encoder(_CONFIG),
    ]


_TARGETS = {
    "token_ids": tf.constant([[4, 6, 5], [6, 4, 0]]),
    "prediction_positions": tf.constant([[0, 2], [1, 0]]),
    "prediction_ids": tf.constant([[3, 4], [5, 0]]),
    "prediction_weights": tf.constant([[1.0, 1.0], [1.0, 0.0]]),
    "span_left_positions": tf.constant([[0, 0], [0, 0]]),
    "span_right_positions": tf.constant([[2, 2], [2, 0]]),
    "span_distances": tf.constant([[1, 2], [1, 0]]),
    "span_weights": tf.constant([[1.0, 1.0], [1.0, 0.0]]),
    "next_sentence_labels": tf.constant([0, 1]),
    "label_ids": tf.constant([2, 0]),
    "sentence_order_labels": tf.constant([1, 0]),
    "replaced_labels": tf.constant([[0, 1, 0], [1, 0, 0]]),
    "tag_ids": tf.constant([[0, 1, 2], [0, 2, 0]]),
    "tag_weights": tf.constant([[1.0, 0.0, 1.0], [1.0, 1.0, 0.0]]),
    "start_positions": tf.constant([0, 1]),
    "end_positions": tf.constant([2, 1]),
    "example_weights": tf.constant([1.0, 0.0]),
}


@pytest.mark.parametrize("head", _heads(), ids=lambda head: head.name)
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


def test_predictions_count_as_much_as_their_row(encoded):
    """Row weights 3 and 0.5, three predictions: of probability 1/2 and 1/4, and 1/8."""
    weights = {"example_weights": tf.constant([3.0, 0.5])}
    chances = tf.constant([[0.5, 0.25], [0.125, 0.5]])  # the last is padding
    ids = _TARGETS["prediction_ids"]
    # The row's logits: ln p of the right word, and ln (1 - p) of word 6, no other.
    rest = tf.one_hot(tf.fill([2, 2], 6), 7) * tf.math.log(1 - chances)[..., None]
    logits = tf.one_hot(ids, 7) * tf.math.log(chances)[..., None] + rest
    logits += 1e4 * (tf.one_hot(ids, 7) + tf.one_hot(tf.fill([2, 2], 6), 7) - 1)
    expected = 3 * np.log(2) + 3 * np.log(4) + 0.5 * np.log(8)
    mlm, sbo = MaskedLMHead.for_encoder(_CONFIG), SpanBoundaryHead.for_encoder(_CONFIG)
    for head, name in [(mlm, "mlm"), (sbo, "sbo")]:
        outputs, batch = {f"{name}_logits": logits}, {**_TARGETS, **weights}
        total, weight = head.loss_terms(outputs, batch)[name]
        np.testing.assert_allclose([total, weight], [expected, 6.5], rtol=1e-5)
        assert float(head.loss_weights(batch)[name]) == 6.5
        hits, weight = head.metric_terms(outputs, batch)[f"{name}_accuracy"]
        np.testing.assert_allclose([hits, weight], [3.0, 6.5])  # of 1/2 and 1/2 the first id wins


@pytest.mark.parametrize(
    ("labels", "message"),
    [(["one"], "at least two classes"), (["a", "b", "a"], r"Received twice: \['a'\]")],
)
def test_labels_must_be_two_and_differ(labels, message):
    with pytest.raises(ValueError, match=message):
        ClassificationHead(labels=labels, hidden_size=4)
    with pytest.raises(ValueError, match=message):
        TokenLabelingHead(labels=labels, hidden_size=4)


def test_which_heads_read_the_pooled_output(encoded):
    without = {key: value for key, value in encoded.items() if key != "pooled_output"}
    for head in _heads():
        if head.uses_pooler:
            with pytest.raises(KeyError, match="pooled_output"):
                head(without, {"token_ids": _TARGETS["token_ids"]})
        else:
            head(without, {"token_ids": _TARGETS["token_ids"]})


def test_a_hidden_layer_takes_the_place_of_the_pooler(encoded):
    head = ClassificationHead(labels=["a", "b"], hidden_size=4, hidden_activation="relu")
    assert not head.uses_pooler and ClassificationHead(labels=["a", "b"], hidden_size=4).uses_pooler
    first = encoded["sequence_output"].numpy()[:, 0]
    hidden = np.maximum(first @ head.hidden.kernel.numpy(), 0)
    expected = hidden @ head.classifier.kernel.numpy()
    logits = head(encoded, {})["label_logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-6)


@pytest.mark.parametrize(
    ("family", "activation", "dropout", "input_dropout"),
    [
        ("roberta-base", "tanh", 0.3, 0.3),
        ("albert-base-v2", None, 0.1, 0.0),
        ("distilbert-base", "relu", 0.2, 0.0),
        ("electra-small", "gelu", 0.3, 0.3),
    ],
)
def test_classifiers_of_the_families(family, activation, dropout, input_dropout):
    config = EncoderConfig.from_name(family, hidden_dropout=0.3, vocab_size=9)
    head = ClassificationHead.for_encoder(config, labels=["a", "b"])
    assert head.hidden_activation == activation
    assert (head.dropout_rate, head.input_dropout_rate) == (dropout, input_dropout)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hidden_activation": "mish"}, "`hidden_activation` must be one of tanh, gelu.*'mish'"),
        ({"input_dropout": 0.1}, "needs `hidden_activation`. Received: input_dropout=0.1"),
    ],
)
def test_a_hidden_layer_that_is_none(options, message):
    with pytest.raises(ValueError, match=message):
        ClassificationHead(labels=["a", "b"], hidden_size=4, **options)


def test_a_factorised_table_takes_words_of_its_width(encoded):
    """ALBERT: the transform leads from 4 back to the table's 2."""
    table = tf.random.normal([7, 2])
    head = MaskedLMHead(vocab_size=7, hidden_size=4, embedding_size=2, activation="relu")
    hidden = encoded["sequence_output"].numpy()[0, 2] @ head.transform.kernel.numpy()
    hidden = np.maximum(hidden, 0)
    hidden = (hidden - hidden.mean()) / np.sqrt(hidden.var() + 1e-12)
    logits = head({**encoded, "token_embedding_table": table}, {})["mlm_logits"]
    np.testing.assert_allclose(logits[0, 2], table.numpy() @ hidden, atol=1e-4)


def test_tags_count_by_their_weights(encoded):
    head = TokenLabelingHead.for_encoder(_CONFIG, labels=["O", "B", "I"])
    probabilities = [[[0.5, 0.25, 0.25], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]]]
    outputs = {"tag_logits": tf.math.log(probabilities)}
    batch = {"tag_ids": tf.constant([[0, 0, 2]]), "padding_mask": tf.constant([[1, 1, 0]])}
    total, weight = head.loss_terms(outputs, batch)["tag"]  # the padding does not count
    np.testing.assert_allclose([total, weight], [-np.log(0.5) - np.log(0.1), 2.0], rtol=1e-6)
    weighted = {**batch, "tag_weights": tf.constant([[0.0, 0.0, 1.0]])}
    total, weight = head.loss_terms(outputs, weighted)["tag"]
    np.testing.assert_allclose([total, weight], [-np.log(0.6), 1.0], rtol=1e-6)
    hits, weight = head.metric_terms(outputs, batch)["tag_accuracy"]
    assert (float(hits), float(weight)) == (1.0, 2.0)
    filler = {**batch, "example_weights": tf.constant([0.0])}
    assert float(head.loss_weights(filler)["tag"]) == 0.0


def test_an_answer_never_lies_in_the_padding(encoded):
    head = SpanQuestionHead.for_encoder(_CONFIG)
    head.classifier.bias.assign([1000.0, 1000.0])
    outputs = head(encoded, {})
    for logits in outputs.values():
        assert logits.numpy()[1, 2] == PADDING_LOGIT
        assert (logits.numpy()[encoded["padding_mask"].numpy() > 0] > 900).all()


def test_the_loss_of_a_span_is_the_mean_of_its_ends():
    head = SpanQuestionHead(hidden_size=4)
    outputs = {
        "start_logits": tf.math.log([[0.5, 0.25, 0.25]]),
        "end_logits": tf.math.log([[0.1, 0.1, 0.8]]),
    }
    batch = {"start_positions": tf.constant([1]), "end_positions": tf.constant([2])}
    total, weight = head.loss_terms(outputs, batch)["qa"]
    expected = -(np.log(0.25) + np.log(0.8)) / 2
    np.testing.assert_allclose([total, weight], [expected, 1.0], rtol=1e-6)
    metrics = head.metric_terms(outputs, batch)
    assert [float(metrics[f"{side}_accuracy"][0]) for side in ("start", "end")] == [0.0, 1.0]
    assert head.loss_terms(outputs, {"start_positions": tf.constant([1])}) == {}


def test_replaced_tokens_by_hand():
    head = ReplacedTokenHead.for_encoder(_CONFIG)
    outputs = {"replaced_logits": tf.constant([[np.log(3.0), np.log(3.0), 5.0]], tf.float32)}
    batch = {
        "replaced_labels": tf.constant([[1, 0, 0]]),
        "padding_mask": tf.constant([[1, 1, 0]]),
    }
    total, weight = head.loss_terms(outputs, batch)["rtd"]  # p = 3/4
    np.testing.assert_allclose([total, weight], [-np.log(0.75) - np.log(0.25), 2.0], rtol=1e-5)
    hits, _ = head.metric_terms(outputs, batch)["rtd_accuracy"]
    assert float(hits) == 1.0


def test_targets_as_a_column_are_those_of_their_rows():
    # (1 - 2)^2 + (5 - 3)^2 of two rows; each against each would add up to 15
    head = RegressionHead.for_encoder(_CONFIG)
    outputs = {"label_logits": tf.constant([[1.0], [5.0]])}
    for targets in ([2.0, 3.0], [[2.0], [3.0]]):
        batch = {"label_values": tf.constant(targets)}
        assert head.loss_terms(outputs, batch)["value"] == (5.0, 2.0)
        assert head.metric_terms(outputs, batch)["absolute_error"] == (3.0, 2.0)

    head = ClassificationHead.for_encoder(_CONFIG, labels=["no", "yes"])
    outputs = {"label_logits": tf.constant([[0.0, 0.0], [0.0, 0.0]])}
    batch = {"label_ids": np.array([[0], [1]]), "example_weights": np.array([1.0, 3.0])}
    loss, weight = head.loss_terms(outputs, batch)["label"]
    np.testing.assert_allclose(loss, 4 * np.log(2), rtol=1e-6)
    assert (weight, head.loss_weights(batch)["label"]) == (4.0, 4.0)
    assert head.metric_terms(outputs, batch)["label_accuracy"] == (1.0, 4.0)


@pytest.mark.parametrize(
    ("head", "targets", "message"),
    [
        (
            ClassificationHead,
            [[0, 1], [1, 0]],
            r"rank 1, .*\(2, 2\). Of one-hot rows take tf.argmax",
        ),
        (ClassificationHead, [0.0, 1.0], r"`label_ids` must be integers. Received: float32"),
        (RegressionHead, [[0.0, 1.0], [1.0, 0.0]], r"`label_values` must have the rank 1"),
        (MultiLabelHead, [1.0, 0.0], r"`label_targets` must have the rank 2, .*\(2,\)$"),
    ],
)
def test_targets_of_another_shape_or_type_are_refused(head, targets, message):
    head = head.for_encoder(_CONFIG, labels=["a"] if head is RegressionHead else ["a", "b"])
    outputs = {"label_logits": tf.zeros([2, len(head.labels)])}
    with pytest.raises(ValueError, match=message):
        head.loss_terms(outputs, {head.target_key: tf.constant(targets)})
