"""A linear classifier, with a hidden layer before it or not: what row and token heads share."""

from __future__ import annotations

import keras
import tensorflow as tf

from keras_bert_suite.layers.activations import get_activation
from keras_bert_suite.layers.dropout import Dropout
from keras_bert_suite.models.heads.head import Head

_ACTIVATIONS = ("tanh", "gelu", "gelu_tanh", "relu", "silu")


class Classifier(Head):
    """Scores the classes of a vector: [dropout, dense, activation,] dropout, dense.

    Args:
      num_classes: number of logits.
      hidden_size: width of the vectors.
      dropout: probability, before the last dense layer in training.
      hidden_activation: activation of a hidden dense layer of hidden_size; None has no such layer.
      input_dropout: probability, before the hidden layer in training.
      initializer_range: standard deviation of the kernels' truncated normal.

    Raises:
      ValueError: an unknown activation, or dropout before a hidden layer that is not there.
    """

    def __init__(
        self,
        *,
        num_classes,
        hidden_size,
        dropout=0.0,
        hidden_activation=None,
        input_dropout=0.0,
        initializer_range=0.02,
        **kwargs,
    ):
        super().__init__(**kwargs)
        self.num_classes = num_classes
        self.hidden_size = hidden_size
        self.dropout_rate = dropout
        self.hidden_activation = hidden_activation
        self.input_dropout_rate = input_dropout
        self.initializer_range = initializer_range

        def dense(units, name):
            return keras.layers.Dense(
                units,
                kernel_initializer=keras.initializers.TruncatedNormal(stddev=initializer_range),
                dtype=self.dtype_policy,
                name=name,
            )

        self.hidden = None
        if hidden_activation is not None:
            self._activate = _activation(hidden_activation)
            self.input_dropout = Dropout(
                input_dropout, dtype=self.dtype_policy, name="input_dropout"
            )
            self.hidden = dense(hidden_size, "hidden")
        elif input_dropout:
            raise ValueError(
                "`input_dropout` stands before a hidden layer and needs `hidden_activation`. "
                f"Received: input_dropout={input_dropout}"
            )
        self.dropout = Dropout(dropout, dtype=self.dtype_policy, name="dropout")
        self.classifier = dense(num_classes, "classifier")
        self.build()

    def build(self, input_shape=None):
        if self.hidden is not None:
            self.hidden.build((None, self.hidden_size))
        self.classifier.build((None, self.hidden_size))

    def logits(self, vectors, *, training=None):
        """Returns float32 [..., num_classes] of floating [..., hidden_size]."""
        if self.hidden is not None:
            vectors = self.input_dropout(vectors, training=training)
            vectors = self._activate(self.hidden(vectors))
        return tf.cast(self.classifier(self.dropout(vectors, training=training)), tf.float32)

    def get_config(self):
        return {
            **super().get_config(),
            "hidden_size": self.hidden_size,
            "dropout": self.dropout_rate,
            "hidden_activation": self.hidden_activation,
            "input_dropout": self.input_dropout_rate,
            "initializer_range": self.initializer_range,
        }


def _activation(name):
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"`hidden_activation` must be one of {', '.join(_ACTIVATIONS)}. Received: {name!r}"
        )
    return keras.activations.tanh if name == "tanh" else get_activation(name)


def checked_labels(labels):
    """Returns the labels as a list of str.

    Raises:
      ValueError: fewer than two, or one that appears twice.
    """
    labels = [str(label) for label in labels]
    if len(labels) < 2:
        raise ValueError(f"`labels` must name at least two classes. Received: {labels}")
    repeated = sorted({label for label in labels if labels.count(label) > 1})
    if repeated:
        raise ValueError(f"`labels` must differ from each other. Received twice: {repeated}")
    return labels
