"""The multiple-choice head: the best of several rows."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.models.heads.head import example_weights
from keras_bert_suite.models.heads.row_classifier import RowClassifier

# Families whose published heads have a hidden layer of their own, in place of the pooler.
_HIDDEN_ACTIVATION = {"distilbert": "relu", "electra": "gelu"}


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class MultipleChoiceHead(RowClassifier):
    """Scores rows, each a question with one of its choices; a softmax over a question's rows.

    "choice_logits" [rows, 1]. The targets are `choice_targets`, float32 [rows], 1 at the right
    choice, and `group_ids`, int32 [rows], 0, 0, ..., 1, 1, ...: the question of each row, of which
    there may be any number of choices. `example_weights` are taken from a question's rows alike.

    Args:
      hidden_size: width of the pooled output.
      dropout: probability, before the classifier in training.
      hidden_activation: see RowClassifier.
      initializer_range: standard deviation of the kernels' truncated normal.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 4.4 (SWAG).
    """

    kind = "multiple_choice"
    terms = ("choice",)
    metric_names = ("choice_accuracy",)
    target_key = "choice_targets"
    output_key = "choice_logits"

    def __init__(
        self,
        *,
        hidden_size,
        dropout=0.1,
        hidden_activation=None,
        initializer_range=0.02,
        name="multiple_choice",
        **kwargs,
    ):
        super().__init__(
            num_classes=1,
            hidden_size=hidden_size,
            dropout=dropout,
            hidden_activation=hidden_activation,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )

    @classmethod
    def for_encoder(cls, config, *, dropout=None, **kwargs):
        """Returns a fresh head for an EncoderConfig, such as its family has."""
        return cls(
            hidden_size=config.hidden_size,
            dropout=config.hidden_dropout if dropout is None else dropout,
            hidden_activation=_HIDDEN_ACTIVATION.get(config.family),
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def loss_weights(self, batch):
        if self.target_key not in batch:
            return {}
        return {self.terms[0]: tf.reduce_sum(self._weights(batch))}

    def loss_terms(self, outputs, batch):
        if self.target_key not in batch:
            return {}
        best, right, logits = self._of_groups(outputs, batch)
        groups = batch["group_ids"]
        total = tf.math.segment_sum(tf.exp(logits - tf.gather(best, groups)), groups)
        losses = best + tf.math.log(total) - right
        weights = self._weights(batch)
        return {self.terms[0]: (tf.reduce_sum(losses * weights), tf.reduce_sum(weights))}

    def metric_terms(self, outputs, batch):
        if self.target_key not in batch:
            return {}
        best, right, _ = self._of_groups(outputs, batch)
        weights = self._weights(batch)
        hits = tf.cast(right >= best, tf.float32)
        return {self.metric_names[0]: (tf.reduce_sum(hits * weights), tf.reduce_sum(weights))}

    def _of_groups(self, outputs, batch):
        """(best logit, right logit: float32 [groups]; logits: float32 [rows])."""
        logits = tf.cast(outputs[self.output_key], tf.float32)[:, 0]
        targets = tf.cast(batch[self.target_key], tf.float32)
        groups = batch["group_ids"]
        right = tf.math.segment_sum(logits * targets, groups)
        return tf.math.segment_max(logits, groups), right, logits

    def _weights(self, batch):
        weights = example_weights(batch, batch[self.target_key])
        return tf.math.segment_max(weights, batch["group_ids"])

    def get_config(self):
        config = super().get_config()
        del config["input_dropout"]
        return config
