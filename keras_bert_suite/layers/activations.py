"""The activations that BERT checkpoints name."""

from __future__ import annotations

import functools

import keras

_ACTIVATIONS = {
    # Hugging Face's `gelu`: x * Phi(x) by the error function (Hendrycks and Gimpel 2016,
    # arXiv:1606.08415)
    "gelu": functools.partial(keras.activations.gelu, approximate=False),
    # Google's TF1 BERT and Hugging Face's `gelu_new`: the tanh approximation
    "gelu_tanh": functools.partial(keras.activations.gelu, approximate=True),
    "relu": keras.activations.relu,
    "silu": keras.activations.silu,
}


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
