"""The masked-language-model head."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.activations import get_activation
from keras_bert_suite.losses import masked_lm_loss
from keras_bert_suite.metrics import sparse_accuracy
from keras_bert_suite.models.heads.head import Head, example_weights

# transformers computes the exact GELU in these families' heads whatever the encoder's activation
# (`RobertaLMHead`, `ElectraGeneratorPredictions`).
_ALWAYS_GELU = ("roberta", "electra")


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class MaskedLMHead(Head):
    """Predicts the token at each prediction position.

    Dense, activation, LayerNorm, then the encoder's embedding table (tied) and a bias.

    Args:
      vocab_size, hidden_size, activation, layer_norm_epsilon, initializer_range: the encoder's.
      embedding_size: width of the embedding table and of what precedes it; None takes hidden_size.

    The targets are `prediction_ids`, int32 [batch, predictions], and `prediction_weights`, float32
    alike, 0 in the padding; optionally `example_weights`, float32 [batch].

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1; google-research/bert
      run_pretraining.py `get_masked_lm_output`.
    """

    kind = "mlm"
    terms = ("mlm",)
    metric_names = ("mlm_accuracy",)
    target_key = "prediction_ids"
    uses_pooler = False

    def __init__(
        self,
        *,
        vocab_size,
        hidden_size,
        embedding_size=None,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        name="masked_lm",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.transform = keras.layers.Dense(
            embedding_size or hidden_size,
            kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
            dtype=self.dtype_policy,
            name="transform",
        )
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm"
        )
        self._activate = get_activation(activation)
        self.build()

    @classmethod
    def for_encoder(cls, config, **kwargs):
        """Returns a fresh head for an EncoderConfig, such as its family has."""
        return cls(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            embedding_size=config.embedding_size,
            activation="gelu" if config.family in _ALWAYS_GELU else config.activation,
            layer_norm_epsilon=config.layer_norm_epsilon,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def build(self, input_shape=None):
        self.transform.build((None, self.hidden_size))
        self.layer_norm.build((None, self.embedding_size or self.hidden_size))
        self.bias = self.add_weight(shape=(self.vocab_size,), initializer="zeros", name="bias")

    def word_vectors(self, hidden):
        """Returns [..., embedding size]: what is compared with each word of the table."""
        return self.layer_norm(self._activate(self.transform(hidden)))

    def call(self, encoded, batch, training=None):
        """Returns {"mlm_logits": float32 [batch, predictions, vocab]}.

        The positions are the batch's `prediction_positions`, int32 [batch, predictions]; without
        them every position is projected: [batch, length, vocab].
        """
        hidden_BPH = encoded["sequence_output"]
        if "prediction_positions" in batch:
            hidden_BPH = tf.gather(hidden_BPH, batch["prediction_positions"], batch_dims=1)
        words_BPE = self.word_vectors(hidden_BPH)
        table_VE = tf.cast(encoded["token_embedding_table"], self.compute_dtype)
        flat_NE = tf.reshape(words_BPE, [-1, self.embedding_size or self.hidden_size])
        logits_NV = tf.cast(tf.matmul(flat_NE, table_VE, transpose_b=True), tf.float32)
        logits_NV += tf.cast(self.bias, tf.float32)
        shape = tf.concat([tf.shape(hidden_BPH)[:2], [self.vocab_size]], 0)
        logits_BPV = tf.reshape(logits_NV, shape)
        return {"mlm_logits": tf.ensure_shape(logits_BPV, [*hidden_BPH.shape[:2], self.vocab_size])}

    def loss_weights(self, batch):
        if "prediction_ids" not in batch:
            return {}
        return {"mlm": tf.reduce_sum(self._weights(batch))}

    def loss_terms(self, outputs, batch):
        if "prediction_ids" not in batch:
            return {}
        return {
            "mlm": masked_lm_loss(
                outputs["mlm_logits"],
                prediction_ids=batch["prediction_ids"],
                prediction_weights=self._weights(batch),
            )
        }

    def metric_terms(self, outputs, batch):
        if "prediction_ids" not in batch:
            return {}
        return {
            "mlm_accuracy": sparse_accuracy(
                outputs["mlm_logits"], batch["prediction_ids"], weights=self._weights(batch)
            )
        }

    def _weights(self, batch):
        """float32 [batch, predictions]: how much each prediction counts."""
        weights = tf.cast(batch["prediction_weights"], tf.float32)
        return weights * example_weights(batch, batch["prediction_ids"])

    def get_config(self):
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "embedding_size": self.embedding_size,
            "activation": self.activation,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
        }
