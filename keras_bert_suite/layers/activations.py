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
    """The exact GELU for training: the numbers of "gelu", in two thirds of the time.

    In float32 within, whose error function is computed many numbers at once; that of bfloat16 is
    not, and took 15 times as long when measured. Only the slope is kept for the backward pass.
    """

    @tf.custom_gradient
    def gelu(x):
        wide = tf.cast(x, tf.float32)
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
