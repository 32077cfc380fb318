"""A classifier of rows: what NSP, sentence order and classification share."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.classifier import Classifier
from keras_bert_suite.models.heads.head import example_weights


class RowClassifier(Classifier):
    """Scores the classes of a row; one loss term, `terms[0]`, and its accuracy.

    It reads the pooled output; with a hidden layer of its own, which does the pooler's work, it
    reads the first token (RoBERTa, DistilBERT, ELECTRA).

    Args: see Classifier.
    """

    output_key: str  # key of the logits

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.uses_pooler = self.hidden is None

    def call(self, encoded, batch, training=None):
        """Returns {output_key: float32 [batch, num_classes]}."""
        if self.uses_pooler:
            vectors_BH = encoded["pooled_output"]
        else:
            vectors_BH = encoded["sequence_output"][:, 0]
        return {self.output_key: self.logits(vectors_BH, training=training)}

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
