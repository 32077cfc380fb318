"""A dense layer that a tuning method may correct."""

from __future__ import annotations

from typing import Any

import keras


@keras.saving.register_keras_serializable(package="keras_bert_suite")
class Dense(keras.layers.Dense):
    """Keras' dense layer, to whose output the layer in `update`, if there is one, is added.

    Attributes:
      update: None, or a layer that takes the same inputs (see attachment.py).
    """

    update: Any = None

    def call(self, inputs, training=None):
        """Returns floating [..., units] of floating [..., inputs]."""
        outputs = super().call(inputs, training=training)
        if self.update is None:
            return outputs
        return outputs + self.update(inputs, training=training)
