"""One layer of the encoder."""

from __future__ import annotations

from typing import Any

import keras

from keras_bert_suite.layers.dropout import Dropout
from keras_bert_suite.layers.feed_forward import FeedForward
from keras_bert_suite.layers.recomputation import recomputed
from keras_bert_suite.layers.self_attention import SelfAttention


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class EncoderBlock(keras.layers.Layer):
    """Self-attention, then the feed-forward layer.

    Each is followed by dropout, the residual and LayerNorm (post-LN).

    Args:
      num_heads, hidden_size, attention_dropout: see SelfAttention.
      intermediate_size, activation: see FeedForward.
      hidden_dropout: probability, before each residual.
      layer_norm_epsilon: added to the variance.
      initializer_range: standard deviation of the kernels' truncated normal.
      rematerialize: True computes the block again in the backward pass of a training instead of
        keeping its activations; may be set at any time before a training is traced.

    Attributes:
      attention_adapter, feed_forward_adapter: None, or a layer (see attachment.py) that each
        sublayer's output passes through after its dropout.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3; google-research/bert modeling.py
      `transformer_model`.
    """

    attention_adapter: Any = None
    feed_forward_adapter: Any = None

    def __init__(
        self,
        *,
        num_heads,
        hidden_size,
        intermediate_size,
        activation="gelu",
        hidden_dropout=0.0,
        attention_dropout=0.0,
        layer_norm_epsilon=1e-12,
        initializer_range=0.02,
        rematerialize=False,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_heads = num_heads
        self.hidden_size = hidden_size
        self.intermediate_size = intermediate_size
        self.activation = activation
        self.hidden_dropout = hidden_dropout
        self.attention_dropout = attention_dropout
        self.layer_norm_epsilon = layer_norm_epsilon
        self.initializer_range = initializer_range
        self.rematerialize = rematerialize

        shared = {"dtype": self.dtype_policy}
        self.attention = SelfAttention(
            num_heads=num_heads,
            hidden_size=hidden_size,
            attention_dropout=attention_dropout,
            initializer_range=initializer_range,
            name="attention",
            **shared,
        )
        self.feed_forward = FeedForward(
            intermediate_size=intermediate_size,
            hidden_size=hidden_size,
            activation=activation,
            initializer_range=initializer_range,
            name="feed_forward",
            **shared,
        )
        norm = {"epsilon": layer_norm_epsilon, **shared}
        self.attention_norm = keras.layers.LayerNormalization(name="attention_norm", **norm)
        self.feed_forward_norm = keras.layers.LayerNormalization(name="feed_forward_norm", **norm)
        self.attention_output_dropout = Dropout(
            hidden_dropout, name="attention_output_dropout", **shared
        )
        self.feed_forward_dropout = Dropout(hidden_dropout, name="feed_forward_dropout", **shared)

    def build(self, input_shape=None):
        self.attention.build()
        self.feed_forward.build()
        self.attention_norm.build((None, self.hidden_size))
        self.feed_forward_norm.build((None, self.hidden_size))

    def call(self, tokens_TH, layout, training=None, prefix=None, reach=None):
        """Returns the tokens of the next layer.

        Args:
          tokens_TH: floating [tokens, hidden_size].
          layout: the TokenLayout of the batch.
          training: bool; True applies dropout.
          prefix: None, or this layer's part of a DeepPrompt, see SelfAttention.
          reach: None, or how many columns to the left and to the right a token sees.

        Returns:
          [tokens, hidden_size], in the compute dtype.
        """
        if self.rematerialize and training:
            return recomputed(
                lambda inputs_TH: self._forward(inputs_TH, layout, training, prefix, reach)
            )(tokens_TH)
        return self._forward(tokens_TH, layout, training, prefix, reach)

    def _forward(self, tokens_TH, layout, training, prefix, reach):
        attended_TH = self.attention(
            tokens_TH, layout=layout, training=training, prefix=prefix, reach=reach
        )
        attended_TH = self.attention_output_dropout(attended_TH, training=training)
        if self.attention_adapter is not None:
            attended_TH = self.attention_adapter(attended_TH)
        tokens_TH = self.attention_norm(tokens_TH + attended_TH)
        forwarded_TH = self.feed_forward(tokens_TH, training=training)
        forwarded_TH = self.feed_forward_dropout(forwarded_TH, training=training)
        if self.feed_forward_adapter is not None:
            forwarded_TH = self.feed_forward_adapter(forwarded_TH)
        return self.feed_forward_norm(tokens_TH + forwarded_TH)

    def get_config(self):
        return {
            **super().get_config(),
            "num_heads": self.num_heads,
            "hidden_size": self.hidden_size,
            "intermediate_size": self.intermediate_size,
            "activation": self.activation,
            "hidden_dropout": self.hidden_dropout,
            "attention_dropout": self.attention_dropout,
            "layer_norm_epsilon": self.layer_norm_epsilon,
            "initializer_range": self.initializer_range,
            "rematerialize": self.rematerialize,
        }
