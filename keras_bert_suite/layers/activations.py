"""The activations that BERT checkpoints name."""

from __future__ import annotations

import functools
import math

import keras
import tensorflow as tf

_ACTIVATIONS = {
    # Hugging Face's `gelu`: x * Phi(x) by the error function (Hendrycks and Gimpel 2016,
    # arXiv:1606.08415)
    "gelu": functools.partial(keras.activations.gelu, approximate=False),
    # Google's TF1 BERT and Hugging Face's `gelu_new`: the tanh approximation
    "gelu_tanh": functools.partial(keras.activations.gelu, approximate=True),
    "relu": keras.activations.relu,
    "silu": keras.activations.silu,
}


def gelu_to_learn(x):
    """The exact GELU for training: "gelu", which keeps its slope alone for the backward pass.

    Half precision is computed in float32 within: TensorFlow's error function takes many float32 at
    once, and half-precision numbers one by one.

    Args:
      x: floating, any shape.

    Returns:
      The same shape and dtype.
    """

    @tf.custom_gradient
    def gelu(x):
        wide = tf.cast(x, tf.float32) if x.dtype.size < 4 else x
        probability = 0.5 * tf.math.erfc(wide * -math.sqrt(0.5))
        density = tf.exp(wide * wide * -0.5) * (1 / math.sqrt(2 * math.pi))
        slope = tf.cast(probability + wide * density, x.dtype)
        return tf.cast(wide * probability, x.dtype), lambda upstream: upstream * slope

    return gelu(x)


def get_activation(name: str):
    """Returns the function of a floating tensor that an EncoderConfig's `activation` names.

    Raises:
      ValueError: for a name other than gelu, gelu_tanh, relu and silu.
    """
    if name not in _ACTIVATIONS:
        raise ValueError(
            f"`activation` must be one of {', '.join(_ACTIVATIONS)}. Received: {name!r}"
        )
    return _ACTIVATIONS[name]
