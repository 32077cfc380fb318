"""The span boundary objective against NumPy and by hand."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.models.heads.span_boundary import SpanBoundaryHead

_BATCH = {
    # Row 0: tokens 1 and 2 are masked; row 1: token 3, which touches the end, and padding.
    "prediction_ids": tf.constant([[3, 4], [5, 0]]),
    "span_left_positions": tf.constant([[0, 0], [2, 0]]),
    "span_right_positions": tf.constant([[3, 3], [4, 0]]),
    "span_distances": tf.constant([[1, 2], [1, 0]]),
    "span_weights": tf.constant([[1.0, 1.0], [0.0, 0.0]]),
}


def _head(**options):
    head = SpanBoundaryHead(vocab_size=7, hidden_size=4, distance_size=3, **options)
    generator = np.random.default_rng(0)
    for weight in head.weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return head


def _encoded(width=4):
    generator = np.random.default_rng(1)
    return {
        "sequence_output": tf.constant(generator.normal(size=[2, 5, 4]), tf.float32),
        "token_embedding_table": tf.constant(generator.normal(size=[7, width]), tf.float32),
    }


def _hidden(values, dense, norm):
    values = values @ dense.kernel.numpy() + dense.bias.numpy()
    values = keras.activations.gelu(values, approximate=False).numpy()
    values = (values - values.mean()) / np.sqrt(values.var() + 1e-12)
    return values * norm.gamma.numpy() + norm.beta.numpy()


@pytest.mark.parametrize("embedding_size", [None, 2])
def test_logits_are_those_of_the_paper(embedding_size):
    head, encoded = _head(embedding_size=embedding_size), _encoded(embedding_size or 4)
    logits = head(encoded, _BATCH)["sbo_logits"].numpy()
    assert logits.shape == (2, 2, 7)
    states = encoded["sequence_output"].numpy()
    # Row 0, token 2: the second of the span between 0 and 3, so p_2 is the table's second row.
    h0 = np.concatenate([states[0, 0], states[0, 3], head.distances.embeddings.numpy()[1]])
    y = _hidden(_hidden(h0, head.hidden_1, head.norm_1), head.hidden_2, head.norm_2)
    if embedding_size:
        y = y @ head.projection.kernel.numpy() + head.projection.bias.numpy()
    expected = encoded["token_embedding_table"].numpy() @ y + head.bias.numpy()
    np.testing.assert_allclose(logits[0, 1], expected, atol=1e-5)


def test_only_predictions_with_both_boundaries_count():
    head = _head(max_distance=1)
    # Row 0's second token lies beyond the table of one place, row 1 has no targets.
    outputs = {"sbo_logits": tf.math.log(tf.constant([[[0.1] * 3 + [0.4] + [0.1] * 3] * 2] * 2))}
    total, weight = head.loss_terms(outputs, _BATCH)["sbo"]
    np.testing.assert_allclose([total, weight], [-np.log(0.4), 1.0], rtol=1e-6)
    assert float(head.loss_weights(_BATCH)["sbo"]) == 1.0
    hits, weight = head.metric_terms(outputs, _BATCH)["sbo_accuracy"]
    assert (float(hits), float(weight)) == (1.0, 1.0)
    total, weight = _head().loss_terms(outputs, _BATCH)["sbo"]
    np.testing.assert_allclose([total, weight], [-np.log(0.4) - np.log(0.1), 2.0], rtol=1e-6)


def test_the_masked_tokens_are_not_read():
    head, encoded = _head(), _encoded()
    logits = head(encoded, _BATCH)["sbo_logits"]
    states = encoded["sequence_output"].numpy()
    states[0, 1:3] = 9.0
    again = head({**encoded, "sequence_output": tf.constant(states)}, _BATCH)["sbo_logits"]
    np.testing.assert_array_equal(again, logits)


def test_a_batch_without_spans_gives_nothing():
    assert _head()(_encoded(), {}) == {}
