"""ELECTRA's discriminator: which tokens a generator has replaced."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.models.heads.classifier import Classifier
from keras_bert_suite.models.heads.head import token_weights


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class ReplacedTokenHead(Classifier):
    """Scores every token as replaced; dense, activation, dense.

    "replaced_logits" float32 [batch, length], the log-odds of "replaced"; in the padding they mean
    nothing. The targets are `replaced_labels`, int32 [batch, length], 1 = replaced; every token of
    `padding_mask` counts.

    Args:
      hidden_size: width of the tokens.
      activation: of the hidden layer; the encoder's.
      initializer_range: standard deviation of the kernels' truncated normal.

    Source: Clark et al. 2020, arXiv:2003.10555, section 2.
    """

    kind = "rtd"
    terms = ("rtd",)
    metric_names = ("rtd_accuracy",)
    target_key = "replaced_labels"
    uses_pooler = False

    def __init__(
        self,
        *,
        hidden_size,
        activation="gelu",
        initializer_range=0.02,
        name="replaced_token",
        **kwargs,
    ):
        super().__init__(
            num_classes=1,
            hidden_size=hidden_size,
            hidden_activation=activation,
            initializer_range=initializer_range,
            name=name,
            **kwargs,
        )

    @classmethod
    def for_encoder(cls, config, **kwargs):
        """Returns a fresh head for an EncoderConfig."""
        return cls(
            hidden_size=config.hidden_size,
            activation=config.activation,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def call(self, encoded, batch, training=None):
        """Returns {"replaced_logits": float32 [batch, length]}."""
        logits_BS1 = self.logits(encoded["sequence_output"], training=training)
        return {"replaced_logits": tf.squeeze(logits_BS1, -1)}

    def loss_weights(self, batch):
        if "replaced_labels" not in batch:
            return {}
        return {"rtd": tf.reduce_sum(token_weights(batch, targets="replaced_labels"))}

    def loss_terms(self, outputs, batch):
        if "replaced_labels" not in batch:
            return {}
        weights = token_weights(batch, targets="replaced_labels")
        losses = tf.nn.sigmoid_cross_entropy_with_logits(
            labels=tf.cast(batch["replaced_labels"], tf.float32), logits=outputs["replaced_logits"]
        )
        return {"rtd": (tf.reduce_sum(losses * weights), tf.reduce_sum(weights))}

    def metric_terms(self, outputs, batch):
        if "replaced_labels" not in batch:
            return {}
        weights = token_weights(batch, targets="replaced_labels")
        hits = (outputs["replaced_logits"] > 0) == (batch["replaced_labels"] > 0)
        hit_sum = tf.reduce_sum(tf.cast(hits, tf.float32) * weights)
        return {"rtd_accuracy": (hit_sum, tf.reduce_sum(weights))}

    def get_config(self):
        config = super().get_config()
        config["activation"] = config.pop("hidden_activation")
        del config["input_dropout"], config["dropout"]
        return config
