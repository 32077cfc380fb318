"""The regression head: a number for a text or a pair of texts."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.models.heads.row_targets import RowTargets


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class RegressionHead(RowTargets):
    """Gives one number a row, "label_logits" [batch, 1]; the loss is the squared error.

    The targets are `label_values`, float32 [batch], optionally with `example_weights`.

    Args: of ClassificationHead; `labels` has one name, that of the number.

    Raises:
      ValueError: not exactly one label.

    Source: transformers, `problem_type` "regression"; STS-B in GLUE, arXiv:1804.07461.
    """

    problem_type = "regression"
    terms = ("value",)
    metric_names = ("absolute_error",)
    target_key = "label_values"
    target_rank = 1

    @classmethod
    def for_encoder(cls, config, *, labels=("score",), dropout=None, **kwargs):
        """Returns a fresh head for an EncoderConfig, such as its family has."""
        return super().for_encoder(config, labels=labels, dropout=dropout, **kwargs)

    def example_losses(self, logits, targets):
        return tf.square(logits[:, 0] - tf.cast(targets, tf.float32))

    def example_metrics(self, logits, targets):
        return tf.abs(logits[:, 0] - tf.cast(targets, tf.float32))

    @staticmethod
    def checked_labels(labels):
        labels = [str(label) for label in labels]
        if len(labels) != 1:
            raise ValueError(f"`labels` must name the one number. Received: {labels}")
        return labels
