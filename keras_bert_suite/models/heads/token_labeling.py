"""The token-labelling head: named entities, parts of speech."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.losses import sparse_cross_entropy
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.classifier import Classifier, checked_labels
from keras_bert_suite.models.heads.head import token_weights


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class TokenLabelingHead(Classifier):
    """Chooses one label for every token.

    "tag_logits" float32 [batch, length, labels]; in the padding they are the bias alone and mean
    nothing. The targets are `tag_ids`, int32 [batch, length], each in [0, labels), with
    `tag_weights`, float32 [batch, length]; 0 marks a token that does not count. Without
    `tag_weights` every token of `padding_mask` counts.

    Args:
      labels: names of the labels; a label's id is its place here.
      hidden_size: width of the tokens.
      dropout: probability, on the tokens in training.
      initializer_range: standard deviation of the kernel's truncated normal.

    Raises:
      ValueError: for fewer than two labels or a label that appears twice.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 5.3.
    """

    kind = "labeling"
    terms = ("tag",)
    metric_names = ("tag_accuracy",)
    target_key = "tag_ids"
    uses_pooler = False

    def __init__(
        self,
        *,
        labels,
        hidden_size,
        dropout=0.1,
        initializer_range=0.02,
        name="labeling",
        **kwargs,
    ):
        labels = checked_labels(labels)
        super().__init__(
            num_classes=len(labels),
            hidden_size=hidden_size,
            dropout=dropout,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )
        self.labels = labels

    @classmethod
    def for_encoder(cls, config, *, labels, dropout=None, **kwargs):
        """Returns a fresh head for an EncoderConfig; `dropout` None takes the family's."""
        if dropout is None:
            dropout = 0.1 if config.family == "albert" else config.hidden_dropout
        return cls(
            labels=labels,
            hidden_size=config.hidden_size,
            dropout=dropout,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def call(self, encoded, batch, training=None):
        """Returns {"tag_logits": float32 [batch, length, labels]}."""
        return {"tag_logits": self.logits(encoded["sequence_output"], training=training)}

    def loss_weights(self, batch):
        if "tag_ids" not in batch:
            return {}
        return {"tag": tf.reduce_sum(self._weights(batch))}

    def loss_terms(self, outputs, batch):
        if "tag_ids" not in batch:
            return {}
        return {
            "tag": sparse_cross_entropy(
                outputs["tag_logits"], batch["tag_ids"], weights=self._weights(batch)
            )
        }

    def metric_terms(self, outputs, batch):
        if "tag_ids" not in batch:
            return {}
        return {
            "tag_accuracy": sparse_accuracy(
                outputs["tag_logits"], batch["tag_ids"], weights=self._weights(batch)
            )
        }

    def _weights(self, batch):
        return token_weights(batch, targets="tag_ids", weights="tag_weights")

    def get_config(self):
        config = {**super().get_config(), "labels": list(self.labels)}
        del config["hidden_activation"], config["input_dropout"]
        return config
