"""The multi-label head: any number of labels for a text or a pair of texts."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.models.heads.row_targets import RowTargets


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class MultiLabelHead(RowTargets):
    """Decides on each label by itself: "label_logits" [batch, labels], before the sigmoid.

    The targets are `label_targets`, float32 [batch, labels], 1 for the labels of a row, optionally
    with `example_weights`. The loss of a row is the mean of its labels' cross-entropies, in nats.

    Args: of ClassificationHead.

    Source: transformers, `problem_type` "multi_label_classification" (BCEWithLogitsLoss).
    """

    problem_type = "multi_label_classification"
    metric_names = ("label_accuracy",)
    target_key = "label_targets"
    target_rank = 2

    def example_losses(self, logits, targets):
        losses = tf.nn.sigmoid_cross_entropy_with_logits(tf.cast(targets, tf.float32), logits)
        return tf.reduce_mean(losses, -1)

    def example_metrics(self, logits, targets):
        hits = tf.equal(logits > 0, tf.cast(targets, tf.float32) > 0.5)
        return tf.reduce_mean(tf.cast(hits, tf.float32), -1)
