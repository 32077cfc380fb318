"""Token, position and segment embeddings, summed and normalised."""

from __future__ import annotations

import keras

from keras_bert_suite.layers.dropout import Dropout


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class Embeddings(keras.layers.Layer):
    """Embeds tokens by id, position and segment; then LayerNorm and dropout.

    Args:
      vocab_size, max_positions, num_segments: rows of the three tables.
      hidden_size: width of each.
      dropout: probability, after the norm.
      layer_norm_epsilon: added to the variance.
      initializer_range: standard deviation of the tables' truncated normal.

    Source: Devlin et al. 2018, arXiv:1810.04805, figure 2.
    """

    def __init__(
        self,
        *,
        vocab_size,
        max_positions,
        num_segments,
        hidden_size,
        dropout=0.0,
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.vocab_size = vocab_size
        self.max_positions = max_positions
        self.num_segments = num_segments
        self.hidden_size = hidden_size
        self.dropout_rate = dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range

        def table(rows, name):
            return keras.layers.Embedding(
                rows,
                hidden_size,
                embeddings_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
                dtype=self.dtype_policy,
                name=name,
            )

        self.token_embeddings = table(vocab_size, "token_embeddings")
        self.position_embeddings = table(max_positions, "position_embeddings")
        self.segment_embeddings = table(num_segments, "segment_embeddings")
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm"
        )
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape=None):
        for table in (self.token_embeddings, self.position_embeddings, self.segment_embeddings):
            table.build()
        self.layer_norm.build((None, self.hidden_size))

    def call(self, token_ids_T, position_ids_T, segment_ids_T, training=None):
        """Returns the embedded tokens.

        Args:
          token_ids_T: int32 [tokens], in [0, vocab_size).
          position_ids_T: int32 [tokens], in [0, max_positions).
          segment_ids_T: int32 [tokens], in [0, num_segments).
          training: bool; True applies dropout.

        Returns:
          [tokens, hidden_size], in the compute dtype.
        """
        summed_TH = (
            self.token_embeddings(token_ids_T)
            + self.position_embeddings(position_ids_T)
            + self.segment_embeddings(segment_ids_T)
        )
        return self.dropout(self.layer_norm(summed_TH), training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "max_positions": self.max_positions,
            "num_segments": self.num_segments,
            "hidden_size": self.hidden_size,
            "dropout": self.dropout_rate,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
        }
