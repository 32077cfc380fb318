"""Texts as Python callers give them."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

from keras_bert_suite.text.surrogates import encodable


def as_texts(texts: Any, *, name: str) -> tf.Tensor:
    """String tensor [batch] of the texts that a user gave.

    Args:
      texts: list of str or bytes, or string tensor [batch].
      name: what the messages call them.

    Raises:
      ValueError: a single text, or other things than texts.
    """
    if isinstance(texts, (str, bytes)):
        raise ValueError(
            f"{name} must be a list of texts; for one text write [text]. Got: {texts[:50]!r}"
        )
    if tf.is_tensor(texts):
        if texts.dtype != tf.string:
            raise ValueError(f"{name} must be strings. Got a tensor of {texts.dtype.name}")
        if isinstance(texts, tf.RaggedTensor) or texts.shape.rank not in (1, None):
            raise ValueError(
                f"{name} must be a tensor [batch]. Got the shape {texts.shape}; tf.reshape(texts, "
                "[-1]) makes one, texts.flat_values of a ragged tensor"
            )
        return tf.ensure_shape(texts, [None])
    return tf.constant([_encoded(text, index, name) for index, text in enumerate(texts)], tf.string)


def _encoded(text: Any, index: int, name: str) -> bytes:
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise ValueError(f"{name} must be a list of str or bytes. Got at index {index}: {text!r}")
    return encodable(text).encode("utf-8")
