"""Classifiers of rows whose target is another than one label: what they have in common."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.head import example_weights, of_rank


class RowTargets(ClassificationHead):
    """A ClassificationHead with a loss of its own; its weights are stored alike.

    Subclasses set `problem_type`, `terms`, `metric_names`, `target_key` and `target_rank` and
    implement `example_losses` and `example_metrics`.
    """

    target_rank: int  # axes of the targets, the batch's included

    def example_losses(self, logits, targets):
        """Returns float32 [batch]: the loss of each row.

        Args:
          logits: float32 [batch, labels].
          targets: the batch's, [batch, ...].
        """
        raise NotImplementedError(f"{type(self).__name__} must implement `example_losses`")

    def example_metrics(self, logits, targets):
        """Returns float32 [batch]: the metric of each row."""
        raise NotImplementedError(f"{type(self).__name__} must implement `example_metrics`")

    def loss_weights(self, batch):
        if self.target_key not in batch:
            return {}
        return {self.terms[0]: tf.reduce_sum(self._weights(batch))}

    def loss_terms(self, outputs, batch):
        return self._summed(self.terms[0], self.example_losses, outputs, batch)

    def metric_terms(self, outputs, batch):
        return self._summed(self.metric_names[0], self.example_metrics, outputs, batch)

    def _summed(self, name, function, outputs, batch):
        if self.target_key not in batch:
            return {}
        targets = of_rank(self.target_rank, batch[self.target_key], key=self.target_key)
        values = function(outputs[self.output_key], targets)
        weights = self._weights(batch)
        return {name: (tf.reduce_sum(values * weights), tf.reduce_sum(weights))}

    def _weights(self, batch):
        targets = batch[self.target_key]
        return example_weights(batch, targets[:, 0] if len(targets.shape) > 1 else targets)
