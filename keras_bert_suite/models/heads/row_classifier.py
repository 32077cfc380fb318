"""A classifier of examples: what NSP, sentence order and classification share."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.layers.token_layout import first_tokens
from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.classifier import Classifier
from keras_bert_suite.models.heads.head import example_weights


class RowClassifier(Classifier):
    """Scores the classes of a row; one loss term, `terms[0]`, and its accuracy.

    It reads the pooled output; with a hidden layer of its own, which does the pooler's work, it
    reads the first token (RoBERTa, DistilBERT, ELECTRA).

    A packed row holds several examples: where the batch has `cls_positions` [batch, examples],
    logits, labels and weights have an axis of examples too.

    Args: see Classifier.
    """

    output_key: str  # key of the logits
    weights_key: str | None = None  # key of optional float32 weights like the labels

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.uses_pooler = self.hidden is None

    def call(self, encoded, batch, training=None):
        """Returns {output_key: float32 [batch, num_classes]}; packed [batch, examples, classes]."""
        if self.uses_pooler:
            vectors = encoded["pooled_output"]
        else:
            vectors = first_tokens(encoded["sequence_output"], batch)
        return {self.output_key: self.logits(vectors, training=training)}

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
