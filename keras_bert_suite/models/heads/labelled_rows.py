"""The loss of heads that choose one label for a row, whatever their logits come from."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.head import example_weights


class LabelledRows:
    """Mixed into a Head: cross-entropy of the labels as `terms[0]`, and their accuracy."""

    terms: tuple[str, ...]
    metric_names: tuple[str, ...]
    target_key: str  # key of the labels
    output_key: str  # key of the logits
    weights_key: str | None = None  # key of optional float32 weights like the labels

    def loss_weights(self, batch):
        if self.target_key not in batch:
            return {}
        return {self.terms[0]: tf.reduce_sum(self._weights(batch))}

    def loss_terms(self, outputs, batch):
        if self.target_key not in batch:
            return {}
        logits, labels = outputs[self.output_key], batch[self.target_key]
        loss = sparse_cross_entropy(logits, labels, weights=self._weights(batch))
        return {self.terms[0]: loss}

    def metric_terms(self, outputs, batch):
        if self.target_key not in batch:
            return {}
        logits, labels = outputs[self.output_key], batch[self.target_key]
        accuracy = sparse_accuracy(logits, labels, weights=self._weights(batch))
        return {self.metric_names[0]: accuracy}

    def _weights(self, batch):
        """float32, the labels' shape: how much each label counts."""
        weights = example_weights(batch, batch[self.target_key])
        if self.weights_key in batch:
            weights *= tf.cast(batch[self.weights_key], tf.float32)
        return weights
