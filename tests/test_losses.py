import math

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.losses import masked_lm_loss, sparse_cross_entropy


def test_cross_entropy_by_hand():
    # softmax([ln 3, 0]) = [3/4, 1/4]
    logits = tf.constant([[math.log(3.0), 0.0], [math.log(3.0), 0.0]])
    total, weight = sparse_cross_entropy(logits, tf.constant([0, 1]))
    assert float(total) == pytest.approx(-math.log(3 / 4) - math.log(1 / 4), abs=1e-6)
    assert float(weight) == 2.0


def test_only_predictions_with_weight_count():
    logits = tf.constant([[[math.log(3.0), 0.0], [50.0, 0.0]]])
    total, weight = masked_lm_loss(
        logits,
        prediction_ids=tf.constant([[1, 1]]),
        prediction_weights=tf.constant([[1.0, 0.0]]),
    )
    assert float(total) == pytest.approx(math.log(4.0), abs=1e-6)
    assert float(weight) == 1.0


def test_half_precision_logits_are_summed_in_float32():
    logits = tf.zeros([4096, 2], tf.bfloat16)
    total, weight = sparse_cross_entropy(logits, tf.zeros([4096], tf.int32))
    assert total.dtype == tf.float32
    np.testing.assert_allclose(float(total), 4096 * math.log(2.0), rtol=1e-5)
    assert float(weight) == 4096.0
