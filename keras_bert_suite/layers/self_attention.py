"""Multi-head self-attention over a stream of tokens."""

from __future__ import annotations

import functools

import keras

from keras_bert_suite.layers.attention_products import attend
from keras_bert_suite.layers.blockwise_attention import attend_in_blocks
from keras_bert_suite.layers.dense import Dense
from keras_bert_suite.layers.dropout import Dropout
from keras_bert_suite.layers.local_attention import attend_in_window


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class SelfAttention(keras.layers.Layer):
    """Attends from every token to the real tokens of its example, then a dense layer.

    softmax(Q K^T / sqrt(d)) V, with d the width of a head.

    Query, key and value are one dense layer (columns q | k | v), so that one matrix product makes
    all three. Only the products between tokens run on rows (see TokenLayout); padding gets weight 0
    and is never attended to, nor are the other examples of a packed row.

    Args:
      num_heads: attention heads; must divide hidden_size.
      hidden_size: width of the input and the output.
      attention_dropout: probability, on the attention weights.
      initializer_range: standard deviation of the kernels' truncated normal.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.2; Devlin et al. 2018,
      arXiv:1810.04805.
    """

    def __init__(
        self, *, num_heads, hidden_size, attention_dropout=0.0, initializer_range=0.02, **kwargs
    ):
        super().__init__(**kwargs)
        if hidden_size % num_heads:
            raise ValueError(
                "`num_heads` must divide `hidden_size`. "
                f"Received: hidden_size={hidden_size}, num_heads={num_heads}"
            )
        self.num_heads = num_heads
        self.hidden_size = hidden_size
        self.attention_dropout = attention_dropout
        self.initializer_range = initializer_range

        def dense(units, name):
            return Dense(
                units,
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
                dtype=self.dtype_policy,
                name=name,
            )

        self.query_key_value = dense(3 * hidden_size, "query_key_value")
        self.output_dense = dense(hidden_size, "output_dense")
        self.dropout = Dropout(attention_dropout, dtype=self.dtype_policy, name="dropout")

    def build(self, input_shape=None):
        self.query_key_value.build((None, self.hidden_size))
        self.output_dense.build((None, self.hidden_size))

    def call(self, tokens_TH, layout, training=None, prefix=None, reach=None):
        """Returns the attended tokens.

        Args:
          tokens_TH: floating [tokens, hidden_size].
          layout: the TokenLayout of the batch.
          training: bool; True applies dropout.
          prefix: None, or a function that returns the Prefix that tokens attend to beside their
            row. A function, so that a recomputed layer reads the prefix's variable itself.
          reach: None, or how many columns to the left and to the right a token sees.

        Returns:
          [tokens, hidden_size], in the compute dtype.
        """
        query_BNSD, key_BNSD, value_BNSD = layout.split_heads(
            self.query_key_value(tokens_TH, training=training), parts=3, heads=self.num_heads
        )
        context_BNSD = self._products(layout, reach)(
            query_BNSD * query_BNSD.shape[-1] ** -0.5,
            key_BNSD,
            value_BNSD,
            layout=layout,
            dropout=self.dropout,
            training=training,
            prefix=None if prefix is None else prefix(),
        )
        return self.output_dense(layout.merge_heads(context_BNSD), training=training)

    @staticmethod
    def _products(layout, reach):
        if reach is not None:
            return functools.partial(attend_in_window, reach=reach)
        return attend_in_blocks if layout.long_rows else attend

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_size": self.hidden_size,
            "attention_dropout": self.attention_dropout,
            "initializer_range": self.initializer_range,
        }
