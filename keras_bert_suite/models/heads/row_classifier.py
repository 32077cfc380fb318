"""A classifier of examples: what NSP, sentence order and classification share."""

from __future__ import annotations

from keras_bert_suite.layers.token_layout import first_tokens
from keras_bert_suite.models.heads.classifier import Classifier
from keras_bert_suite.models.heads.labelled_rows import LabelledRows


class RowClassifier(LabelledRows, Classifier):
    """Scores the classes of a row; one loss term, `terms[0]`, and its accuracy.

    It reads the pooled output; with a hidden layer of its own, which does the pooler's work, it
    reads the first token (RoBERTa, DistilBERT, ELECTRA).

    A packed row holds several examples: where the batch has `cls_positions` [batch, examples],
    logits, labels and weights have an axis of examples too.

    Args: see Classifier.
    """

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
