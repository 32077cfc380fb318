"""The position-wise feed-forward layer."""

from __future__ import annotations

import keras

from keras_bert_suite.layers.activations import activation_to_learn, get_activation
from keras_bert_suite.layers.dense import Dense


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class FeedForward(keras.layers.Layer):
    """Two dense layers with an activation between, each token by itself.

    Padding, where the stream holds it, is computed like any token.

    Args:
      intermediate_size: width between the two layers.
      hidden_size: width of the input and the output.
      activation: gelu (erf), gelu_tanh, relu or silu.
      initializer_range: standard deviation of the kernels' truncated normal.

    Source: Vaswani et al. 2017, arXiv:1706.03762, section 3.3.
    """

    def __init__(
        self, *, intermediate_size, hidden_size, activation="gelu", initializer_range=0.02, **kwargs
    ):
        super().__init__(**kwargs)
        self.intermediate_size = intermediate_size
        self.hidden_size = hidden_size
        self.activation = activation
        self.initializer_range = initializer_range

        def dense(units, name):
            return Dense(
                units,
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
                dtype=self.dtype_policy,
                name=name,
            )

        self.intermediate = dense(intermediate_size, "intermediate")
        self.output_dense = dense(hidden_size, "output_dense")
        self._activate = get_activation(activation)
        self._activate_to_learn = activation_to_learn(activation)

    def build(self, input_shape=None):
        self.intermediate.build((None, self.hidden_size))
        self.output_dense.build((None, self.intermediate_size))

    def call(self, tokens_TH, training=None):
        """Returns floating [tokens, hidden_size] of floating [tokens, hidden_size]."""
        # Outside training TensorFlow makes one operation of the dense layer and its GELU.
        activate = self._activate_to_learn if training else self._activate
        intermediate_TF = activate(self.intermediate(tokens_TH, training=training))
        return self.output_dense(intermediate_TF, training=training)

    def get_config(self):
        return {
            **super().get_config(),
            "intermediate_size": self.intermediate_size,
            "hidden_size": self.hidden_size,
            "activation": self.activation,
            "initializer_range": self.initializer_range,
        }
