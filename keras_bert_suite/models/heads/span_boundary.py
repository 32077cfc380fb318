"""SpanBERT's span-boundary head."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.activations import get_activation
from keras_bert_suite.models.heads.word_prediction import WordPredictionHead

_DISTANCE_SIZE = 200
# Tokens into a span of ten words that a table of 128 places does not reach are none in practice;
# merged spans beyond it go without targets.
_MAX_DISTANCE = 128


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class SpanBoundaryHead(WordPredictionHead):
    """Predicts each token of a masked span from the observed tokens on both sides of the span.

    h0 = [x_(s-1); x_(e+1); p_(i-s+1)], h1 = LayerNorm(GELU(W1 h0)), y = LayerNorm(GELU(W2 h1)),
    then the encoder's embedding table (tied) and a bias of its own. With a factorised embedding
    table y is projected to the table's width.

    The batch holds, int32 [batch, predictions], `span_left_positions` (s - 1),
    `span_right_positions` (e + 1) and `span_distances` (i - s + 1, from 1), and float32
    `span_weights`, 0 = no target; the targets are the `prediction_ids`.

    Args:
      vocab_size, hidden_size, activation, layer_norm_epsilon, initializer_range: the encoder's.
      embedding_size: width of the embedding table, if it is factorised.
      distance_size: width of the vectors p.
      max_distance: how many there are; a token further into its span is no target.

    Source: Joshi et al. 2019, arXiv:1907.10529, section 3.2; the width 200 is that of section 4.2.
    """

    kind = "sbo"
    terms = ("sbo",)
    metric_names = ("sbo_accuracy",)
    weights_key = "span_weights"

    def __init__(
        self,
        *,
        vocab_size,
        hidden_size,
        embedding_size=None,
        distance_size=_DISTANCE_SIZE,
        max_distance=_MAX_DISTANCE,
        activation="gelu",
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        name="span_boundary",
        **kwargs,
    ):
        super().__init__(name=name, **kwargs)
        self.vocab_size = vocab_size
        self.hidden_size = hidden_size
        self.embedding_size = embedding_size
        self.distance_size = distance_size
        self.max_distance = max_distance
        self.activation = activation
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.distances = keras.layers.Embedding(
            max_distance,
            distance_size,
            embeddings_initializer=self._initializer(),
            dtype=self.dtype_policy,
            name="distances",
        )
        self.hidden_1, self.norm_1 = self._dense("hidden_1"), self._norm("norm_1")
        self.hidden_2, self.norm_2 = self._dense("hidden_2"), self._norm("norm_2")
        self.projection = self._dense("projection", embedding_size) if embedding_size else None
        self._activate = get_activation(activation)
        self.build()

    @classmethod
    def for_encoder(cls, config, **kwargs):
        """Returns a fresh head for an EncoderConfig."""
        return cls(
            vocab_size=config.vocab_size,
            hidden_size=config.hidden_size,
            embedding_size=config.embedding_size,
            activation=config.activation,
            layer_norm_epsilon=config.layer_norm_epsilon,
            initializer_range=config.initializer_range,
            **kwargs,
        )

    def _initializer(self):
        return keras.initializers.TruncatedNormal(stddev=self.initializer_range)

    def _dense(self, name, width=None):
        return keras.layers.Dense(
            width or self.hidden_size,
            kernel_initializer=self._initializer(),
            dtype=self.dtype_policy,
            name=name,
        )

    def _norm(self, name):
        return keras.layers.LayerNormalization(
            epsilon=self.layer_norm_epsilon, dtype=self.dtype_policy, name=name
        )

    def build(self, input_shape=None):
        self.distances.build((None, None))
        self.hidden_1.build((None, 2 * self.hidden_size + self.distance_size))
        self.hidden_2.build((None, self.hidden_size))
        for norm in (self.norm_1, self.norm_2):
            norm.build((None, self.hidden_size))
        if self.projection is not None:
            self.projection.build((None, self.hidden_size))
        super().build(input_shape)

    def call(self, encoded, batch, training=None):
        """Returns {"sbo_logits": float32 [batch, predictions, vocab]}; {} without spans."""
        if "span_left_positions" not in batch:
            return {}
        hidden_BSH = encoded["sequence_output"]
        left_BPH = tf.gather(hidden_BSH, batch["span_left_positions"], batch_dims=1)
        right_BPH = tf.gather(hidden_BSH, batch["span_right_positions"], batch_dims=1)
        # Beyond the table and in the padding any vector does: the weight is 0.
        row = tf.clip_by_value(batch["span_distances"] - 1, 0, self.max_distance - 1)
        h0 = tf.concat([left_BPH, right_BPH, self.distances(row)], -1)
        h1_BPH = self.norm_1(self._activate(self.hidden_1(h0)))
        words_BPE = self.norm_2(self._activate(self.hidden_2(h1_BPH)))
        if self.projection is not None:
            words_BPE = self.projection(words_BPE)
        return {"sbo_logits": self.word_logits(words_BPE, encoded)}

    def _weights(self, batch):
        reached = batch["span_distances"] <= self.max_distance
        return super()._weights(batch) * tf.cast(reached, tf.float32)

    def get_config(self):
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "hidden_size": self.hidden_size,
            "embedding_size": self.embedding_size,
            "distance_size": self.distance_size,
            "max_distance": self.max_distance,
            "activation": self.activation,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
        }
