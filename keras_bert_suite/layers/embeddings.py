"""Token, position and segment embeddings, summed, normalised and, if asked for, projected."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.dropout import Dropout


class Table(keras.layers.Embedding):
    """The rows of ids.

    To Keras a negative id counts from the end of the table. Here it is no id: an error on a CPU, as
    one beyond the table is.
    """

    def call(self, ids):
        ids = ids if ids.dtype == tf.int64 else tf.cast(ids, tf.int32)
        return tf.gather(tf.convert_to_tensor(self.embeddings), ids)


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class Embeddings(keras.layers.Layer):
    """Embeds tokens by id, position and segment; then LayerNorm and dropout.

    Args:
      vocab_size, max_positions: rows of the tables of tokens and positions.
      num_segments: rows of the segment table; 0 leaves it out.
      hidden_size: width of the output.
      embedding_size: width of the tables and the norm, from which a dense layer leads to
        hidden_size (ALBERT's factorised embedding); None takes hidden_size and no such layer.
      dropout: probability, after the norm.
      layer_norm_epsilon: added to the variance.
      initializer_range: standard deviation of the tables' truncated normal.

    Source: Devlin et al. 2018, arXiv:1810.04805, figure 2; Lan et al. 2019, arXiv:1909.11942,
      section 3.1.
    """

    def __init__(
        self,
        *,
        vocab_size,
        max_positions,
        num_segments,
        hidden_size,
        embedding_size=None,
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
        self.embedding_size = embedding_size
        self.dropout_rate = dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range

        def normal():
            return keras.initializers.TruncatedNormal(stddev=initializer_range)

        def table(rows, name):
            # Rows are looked up as they are stored and the sum is rounded: in mixed precision Keras
            # would cast the whole table, and the gradients of a row would add up in 8 bits.
            return Table(
                rows,
                embedding_size or hidden_size,
                embeddings_initializer=normal(),
                dtype=self.variable_dtype,
                name=name,
            )

        self.token_embeddings = table(vocab_size, "token_embeddings")
        self.position_embeddings = table(max_positions, "position_embeddings")
        self.segment_embeddings = (
            table(num_segments, "segment_embeddings") if num_segments else None
        )
        self.layer_norm = keras.layers.LayerNormalization(
            epsilon=layer_norm_epsilon, dtype=self.dtype_policy, name="layer_norm"
        )
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.projection = None
        if embedding_size is not None:
            self.projection = keras.layers.Dense(
                hidden_size, kernel_initializer=normal(), dtype=self.dtype_policy, name="projection"
            )

    def build(self, input_shape=None):
        width = self.embedding_size or self.hidden_size
        for table in (self.token_embeddings, self.position_embeddings, self.segment_embeddings):
            if table is not None:
                table.build()
        self.layer_norm.build((None, width))
        if self.projection is not None:
            self.projection.build((None, width))

    def call(self, token_ids_T, position_ids_T, segment_ids_T=None, training=None):
        """Returns the embedded tokens.

        Args:
          token_ids_T: int32 [tokens], in [0, vocab_size).
          position_ids_T: int32 [tokens], in [0, max_positions).
          segment_ids_T: int32 [tokens], in [0, num_segments); None puts every token in segment 0.
            Without a segment table it is not read.
          training: bool; True applies dropout.

        Returns:
          [tokens, hidden_size], in the compute dtype.
        """
        summed_TE = self.token_embeddings(token_ids_T) + self.position_embeddings(position_ids_T)
        if self.segment_embeddings is not None:
            if segment_ids_T is None:
                segment_ids_T = tf.zeros_like(token_ids_T)
            summed_TE += self.segment_embeddings(segment_ids_T)
        return self._finished(summed_TE, training)

    def of_vectors(self, vectors_PE, training=None):
        """Returns [vectors, hidden_size] of vectors that stand for words: segment 0, no position.

        Args:
          vectors_PE: floating [vectors, embedding_size].
          training: bool; True applies dropout.
        """
        summed_PE = tf.cast(tf.convert_to_tensor(vectors_PE), self.variable_dtype)
        if self.segment_embeddings is not None:
            summed_PE += self.segment_embeddings(tf.zeros_like(summed_PE[:, 0], tf.int32))
        return self._finished(summed_PE, training)

    def _finished(self, summed_TE, training):
        embedded_TE = self.dropout(self.layer_norm(summed_TE), training=training)
        return embedded_TE if self.projection is None else self.projection(embedded_TE)

    def get_config(self):
        return {
            **super().get_config(),
            "vocab_size": self.vocab_size,
            "max_positions": self.max_positions,
            "num_segments": self.num_segments,
            "hidden_size": self.hidden_size,
            "embedding_size": self.embedding_size,
            "dropout": self.dropout_rate,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
        }


def run_starts(row_ids):
    """Returns int32 [batch, length]: the column in which the run of equal row_ids began."""
    batch_size, length = tf.unstack(tf.shape(row_ids))
    changes = tf.cast(row_ids[:, 1:] != row_ids[:, :-1], tf.int32)
    runs = tf.cumsum(tf.pad(changes, [[0, 0], [1, 0]]), axis=1)
    runs += tf.range(batch_size)[:, None] * length
    columns = tf.broadcast_to(tf.range(length)[None, :], [batch_size, length])
    firsts = tf.math.unsorted_segment_min(columns, runs, batch_size * length)
    return tf.gather(firsts, runs)
