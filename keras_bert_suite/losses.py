"""Losses as (loss_sum, weight_sum), so that the mean is taken once, over all replicas."""

from __future__ import annotations

import tensorflow as tf


def sparse_cross_entropy(logits, labels, *, weights=None):
    """Sums the softmax cross-entropy of the examples that count.

    Args:
      logits: floating [..., classes], unnormalised; computed in float32 whatever its dtype.
      labels: int32 [...], each in [0, classes).
      weights: float32 [...]; 0 marks an example that does not count. None counts every example
        once.

    Returns:
      (loss_sum, weight_sum): float32 scalars, nats and examples. The caller divides by the
      weight_sum of all replicas, so the number of replicas cannot change the gradient.
    """
    logits = tf.cast(logits, tf.float32)
    losses = tf.nn.sparse_softmax_cross_entropy_with_logits(labels=labels, logits=logits)
    if weights is None:
        return tf.reduce_sum(losses), tf.cast(tf.size(losses), tf.float32)
    weights = tf.cast(weights, tf.float32)
    return tf.reduce_sum(losses * weights), tf.reduce_sum(weights)


def masked_lm_loss(logits, *, prediction_ids, prediction_weights):
    """Sums the cross-entropy of the predictions that count.

    Args:
      logits: floating [batch, predictions, vocab], unnormalised.
      prediction_ids: int32 [batch, predictions], each in [0, vocab).
      prediction_weights: float32 [batch, predictions]; 0 marks padding.

    Returns:
      (loss_sum, weight_sum): float32 scalars, nats and predicted tokens.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1.
    """
    return sparse_cross_entropy(logits, prediction_ids, weights=prediction_weights)
