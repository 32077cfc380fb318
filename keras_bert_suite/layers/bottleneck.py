"""The bottleneck adapter."""

from __future__ import annotations

import keras

from keras_bert_suite.layers.activations import get_activation
from keras_bert_suite.layers.attachment import Attachment

# Near identity at the start: larger values harm, Houlsby et al. 2019, section 3.6.
_INITIAL_STDDEV = 1e-3


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class Bottleneck(Attachment):
    """x + up(activation(down(x))): 2 m d + d + m weights, near identity at the start.

    Args:
      hidden_size: d, width of the vectors.
      size: m, width between the two dense layers.
      activation: "gelu" or any other of activations.py.

    Source: Houlsby et al. 2019, arXiv:1902.00751, section 2.1 and figure 2.
    """

    def __init__(self, *, hidden_size, size, activation="gelu", **kwargs):
        super().__init__(**kwargs)
        self.hidden_size, self.size, self.activation = hidden_size, size, activation
        self._activate = get_activation(activation)

        def dense(units, name):
            return keras.layers.Dense(
                units,
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=_INITIAL_STDDEV),
                dtype=self.dtype_policy,
                name=name,
            )

        self.down, self.up = dense(size, "down"), dense(hidden_size, "up")
        self.build()

    def build(self, input_shape=None):
        self.down.build((None, self.hidden_size))
        self.up.build((None, self.size))

    @property
    def variable_names(self):
        return ("down.kernel", "down.bias", "up.kernel", "up.bias")

    def call(self, inputs):
        """Returns floating [tokens, hidden_size] of the same."""
        return inputs + self.up(self._activate(self.down(inputs)))

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "size": self.size,
            "activation": self.activation,
        }
