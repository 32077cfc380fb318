"""The masked-language-model head."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.activations import get_activation
from keras_bert_suite.models.heads.word_prediction import WordPredictionHead

# transformers computes the exact GELU in these families' heads whatever the encoder's activation
# (`RobertaLMHead`, `ElectraGeneratorPredictions`).
_ALWAYS_GELU = ("roberta", "electra")


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class MaskedLMHead(WordPredictionHead):
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
    weights_key = "prediction_weights"

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
        super().build(input_shape)

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
        return {"mlm_logits": self.word_logits(self.word_vectors(hidden_BPH), encoded)}

    def _has_targets(self, batch):
        return "prediction_ids" in batch  # without their weights it is an error

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
