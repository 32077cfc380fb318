"""The loss of heads that choose one label for a row, whatever their logits come from."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.head import example_weights, of_rank


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
        logits, labels, weights = self._compared(outputs, batch)
        return {self.terms[0]: sparse_cross_entropy(logits, labels, weights=weights)}

    def metric_terms(self, outputs, batch):
        if self.target_key not in batch:
            return {}
        logits, labels, weights = self._compared(outputs, batch)
        return {self.metric_names[0]: sparse_accuracy(logits, labels, weights=weights)}

    def _compared(self, outputs, batch):
        """Returns (logits, labels, weights), the latter two of the logits' shape but for classes.

        Raises:
          ValueError: labels that are no integers, or of another rank.
        """
        logits, labels = outputs[self.output_key], tf.convert_to_tensor(batch[self.target_key])
        labels = of_rank(len(logits.shape) - 1, labels, key=self.target_key)
        if not labels.dtype.is_integer:
            raise ValueError(
                f"`{self.target_key}` must be integers. Received: {labels.dtype.name}; numbers "
                'without a fraction are cast by .astype("int32")'
            )
        return logits, labels, tf.reshape(self._weights(batch), tf.shape(labels))

    def _weights(self, batch):
        """float32, the labels' shape: how much each label counts."""
        weights = example_weights(batch, batch[self.target_key])
        if self.weights_key in batch:
            weights *= tf.cast(batch[self.weights_key], tf.float32)
        return weights
