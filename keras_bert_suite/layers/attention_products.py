"""The products between tokens in self-attention, softmax(Q K^T + bias) V.

`attend` here, `attend_in_blocks` and `attend_in_window` are called alike:

Args:
  query_BNSD, key_BNSD, value_BNSD: floating [rows, heads, length, head width] on the attention rows
    of the layout, the query already scaled.
  layout: the TokenLayout, whose bias leaves a query the real keys of its own example.
  dropout: the Dropout of the attention weights, with `training`.
  prefix: None, or the Prefix that queries see beside them.

Returns:
  [rows, heads, length, head width].
"""

from __future__ import annotations

from typing import Any, NamedTuple

import tensorflow as tf


class Prefix(NamedTuple):
    """Keys and values that the queries of a row see beside those of their tokens.

    Attributes:
      keys, values: floating [1 or rows, heads, prefix length, head width].
      bias: None, or floating [rows, prefix length], added to the scores.
    """

    keys: Any
    values: Any
    bias: Any = None


def attend(query_BNSD, key_BNSD, value_BNSD, *, layout, dropout, training, prefix):
    """All scores at once: the fastest for rows of hundreds of tokens; memory grows as length^2."""
    bias = layout.attention_bias(query_BNSD.dtype)
    if prefix is not None:
        key_BNSD, value_BNSD = with_prefix(key_BNSD, value_BNSD, prefix)
        bias = with_prefix_bias(bias, prefix)
    weights_BNSS = softmax(tf.matmul(query_BNSD, key_BNSD, transpose_b=True) + bias)
    return tf.matmul(dropout(weights_BNSS, training=training), value_BNSD)


def softmax(scores):
    """Over the last axis, computed in float32, in the dtype of the scores."""
    # 8 or 11 bits of mantissa are too few to sum hundreds of exponentials
    return tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32)), scores.dtype)


def with_prefix(keys, values, prefix):
    """Keys and values [rows, heads, ..., length, width] with the prefix before them, at axis -2."""
    return tuple(
        tf.concat([_like(whole, part), whole], -2)
        for whole, part in ((keys, prefix.keys), (values, prefix.values))
    )


def with_prefix_bias(bias, prefix):
    """The bias [rows, ..., keys] with that of the prefix before it."""
    if prefix.bias is None:
        nothing = [[0, 0]] * (len(bias.shape) - 1)
        return tf.pad(bias, [*nothing, [tf.shape(prefix.keys)[2], 0]])
    rows, length = tf.unstack(tf.shape(prefix.bias))
    inner = [1] * (len(bias.shape) - 2)
    own = tf.reshape(tf.cast(prefix.bias, bias.dtype), [rows, *inner, length])
    shape = tf.concat([tf.shape(bias)[:-1], [length]], 0)
    return tf.concat([tf.broadcast_to(own, shape), bias], -1)


def _like(whole, part):
    """The part [1 or rows, heads, length, width] on the axes of the whole between heads, length."""
    for _ in range(len(whole.shape) - len(part.shape)):
        part = part[:, :, None]
    return tf.broadcast_to(part, tf.concat([tf.shape(whole)[:-2], tf.shape(part)[-2:]], 0))
