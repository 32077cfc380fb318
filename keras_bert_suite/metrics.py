"""Metrics as (hit_sum, weight_sum), added over batches and replicas before the division."""

from __future__ import annotations

import tensorflow as tf


def sparse_accuracy(logits, labels, *, weights=None):
    """Counts the examples whose highest logit is the label's.

    Args:
      logits: floating [..., classes].
      labels: int32 [...], each in [0, classes).
      weights: float32 [...]; 0 marks an example that does not count. None counts every example
        once.

    Returns:
      (hit_sum, weight_sum): float32 scalars, both in examples.
    """
    hits = tf.cast(tf.argmax(logits, -1, output_type=labels.dtype) == labels, tf.float32)
    if weights is None:
        return tf.reduce_sum(hits), tf.cast(tf.size(hits), tf.float32)
    weights = tf.cast(weights, tf.float32)
    return tf.reduce_sum(hits * weights), tf.reduce_sum(weights)
