"""A linear classifier on the pooled output: what NSP and classification share."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.dropout import Dropout
from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.head import Head, example_weights


class RowClassifier(Head):
    """Scores the classes of a row; one loss term, `terms[0]`, and its accuracy.

    Args:
      num_classes: number of logits.
      hidden_size: width of the pooled output.
      dropout: probability, on the pooled output in training.
      initializer_range: standard deviation of the kernel's truncated normal.
    """

    output_key: str  # key of the logits

    def __init__(self, *, num_classes, hidden_size, dropout=0.0, initializer_range=0.02, **kwargs):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.hidden_size = hidden_size
        self.dropout_rate = dropout
        self.initializer_range = initializer_range
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.classifier = keras.layers.Dense(
            num_classes,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            dtype=self.dtype_policy,
            name="classifier",
        )
        self.build()

    def build(self, input_shape=None):
        self.classifier.build((None, self.hidden_size))

    def call(self, encoded, batch, training=None):
        """Returns {output_key: float32 [batch, num_classes]}."""
        pooled_BH = self.dropout(encoded["pooled_output"], training=training)
        return {self.output_key: tf.cast(self.classifier(pooled_BH), tf.float32)}

    def loss_weights(self, batch):
        if self.target_key not in batch:
            return {}
        return {self.terms[0]: tf.reduce_sum(example_weights(batch, batch[self.target_key]))}

    def loss_terms(self, outputs, batch):
        if self.target_key not in batch:
            return {}
        labels = batch[self.target_key]
        weights = example_weights(batch, labels)
        return {
            self.terms[0]: sparse_cross_entropy(outputs[self.output_key], labels, weights=weights)
        }

    def metric_terms(self, outputs, batch):
        if self.target_key not in batch:
            return {}
        labels = batch[self.target_key]
        weights = example_weights(batch, labels)
        accuracy = sparse_accuracy(outputs[self.output_key], labels, weights=weights)
        return {self.metric_names[0]: accuracy}

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "dropout": self.dropout_rate,
            "initializer_range": self.initializer_range,
        }
