"""The cloze head: the masked-LM head's own logits, of the labels' words alone."""

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.heads.cloze import ClozeHead
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead

_CONFIG = EncoderConfig(vocab_size=9, hidden_size=4, num_layers=1, num_heads=1, intermediate_size=4)
_MASK = 8


def encoded(rows, length):
    return {
        "sequence_output": tf.random.stateless_normal([rows, length, 4], [1, 2]),
        "token_embedding_table": tf.random.stateless_normal([9, 4], [3, 4]),
    }


def head_of(word_ids):
    keras.utils.set_random_seed(1)
    head = ClozeHead.for_encoder(_CONFIG, word_ids=word_ids, mask_id=_MASK)
    head.bias.assign(np.arange(9) / 10)
    return head


def test_labels_are_words_and_several_words_their_mean():
    """Embeddings of zeros leave the bias: ln 10 for one word, 0 and ln 100 (mean ln 10) ..."""
    head = head_of([[[1]], [[2]], [[3], [4]]])
    head.bias.assign(np.log([1, 10, 1, 1, 100, 1, 1, 1, 1]))
    inputs = {**encoded(1, 3), "token_embedding_table": tf.zeros([9, 4])}
    batch = {"token_ids": tf.constant([[5, _MASK, 6]])}
    logits = head(inputs, batch)["label_logits"]
    # ... against 1 for the second label: 10, 1 and 10 parts of 21.
    np.testing.assert_allclose(tf.nn.softmax(logits), [[10 / 21, 1 / 21, 10 / 21]], rtol=1e-5)
    targets = {**batch, "label_ids": tf.constant([1]), "example_weights": tf.constant([3.0])}
    total, weight = head.loss_terms({"label_logits": logits}, targets)["label"]
    np.testing.assert_allclose([total, weight], [3 * np.log(21), 3.0], rtol=1e-5)


@pytest.mark.parametrize("word_ids", [[[[1], [2]], [[3]]], [[[1, 2]], [[3, 2], [4, 1]]]])
def test_logits_are_those_of_the_masked_lm_head(word_ids):
    head = head_of(word_ids)
    plain = MaskedLMHead.for_encoder(_CONFIG)
    plain.set_weights(head.get_weights())
    count = len(word_ids[0][0])
    rows = [[_MASK, 1, _MASK], [1, _MASK, _MASK]]
    positions = [[0, 2][:count], [1, 2][:count]]  # the first masks of a row
    inputs = encoded(2, 3)
    words = plain(inputs, {"prediction_positions": tf.constant(positions)})["mlm_logits"].numpy()
    expected = [
        [np.mean([sum(row[m, i] for m, i in enumerate(word)) for word in label]) for label in head_]
        for row, head_ in [(words[0], word_ids), (words[1], word_ids)]
    ]
    logits = head(inputs, {"token_ids": tf.constant(rows)})["label_logits"]
    np.testing.assert_allclose(logits, expected, atol=1e-5)


def test_a_row_without_its_masks_has_no_opinion():
    head = head_of([[[1, 2]], [[3, 4]]])
    short = head(encoded(1, 1), {"token_ids": tf.constant([[_MASK]])})["label_logits"]
    np.testing.assert_array_equal(short, [[0.0, 0.0]])
    rows = tf.constant([[1, 2, _MASK], [1, _MASK, _MASK]])
    logits = head(encoded(2, 3), {"token_ids": rows})["label_logits"].numpy()
    np.testing.assert_array_equal(logits[0], [0.0, 0.0])
    assert logits[1].any()


def test_only_the_labels_words_learn():
    head = head_of([[[1]], [[2]]])
    batch = {"token_ids": tf.constant([[5, _MASK]]), "label_ids": tf.constant([0])}
    with tf.GradientTape() as tape:
        total, _ = head.loss_terms(head(encoded(1, 2), batch), batch)["label"]
    bias = tf.convert_to_tensor(tape.gradient(total, head.bias.value)).numpy()
    assert bias[1] < 0 < bias[2] and np.count_nonzero(bias) == 2


@pytest.mark.parametrize("word_ids", [[[[1]]], [[[1]], []], [[[1]], [[2, 3]]], [[[]], [[]]]])
def test_words_that_make_no_labels(word_ids):
    with pytest.raises(ValueError, match="at least two labels, each with words of as many ids"):
        head_of(word_ids)
