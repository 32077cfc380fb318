"""The products between tokens in self-attention, softmax(Q K^T + bias) V.

`attend` here, `attend_in_blocks` and `attend_in_window` are called alike:

Args:
  query_BNSD, key_BNSD, value_BNSD: floating [rows, heads, length, head width] on the attention rows
    of the layout, the query already scaled.
  layout: the TokenLayout, whose bias leaves a query the real keys of its own example.
  dropout: the Dropout of the attention weights, with `training`.
  prefix: None, or floating [2, heads, prefix length, head width], keys and values that every query
    sees beside them.

Returns:
  [rows, heads, length, head width].
"""

from __future__ import annotations

import tensorflow as tf


def attend(query_BNSD, key_BNSD, value_BNSD, *, layout, dropout, training, prefix):
    """All scores at once: the fastest for rows of hundreds of tokens; memory grows as length^2."""
    bias = layout.attention_bias(query_BNSD.dtype)
    if prefix is not None:
        key_BNSD, value_BNSD = with_prefix(key_BNSD, value_BNSD, prefix)
        bias = unbiased_prefix(bias, prefix)
    weights_BNSS = softmax(tf.matmul(query_BNSD, key_BNSD, transpose_b=True) + bias)
    return tf.matmul(dropout(weights_BNSS, training=training), value_BNSD)


def softmax(scores):
    """Over the last axis, computed in float32, in the dtype of the scores."""
    # 8 or 11 bits of mantissa are too few to sum hundreds of exponentials
    return tf.cast(tf.nn.softmax(tf.cast(scores, tf.float32)), scores.dtype)


def with_prefix(keys, values, prefix):
    """Keys and values [..., heads, ..., length, width] with the prefix before them, at axis -2."""
    return tuple(
        tf.concat([tf.broadcast_to(part, _shape_of_prefix(whole, part)), whole], -2)
        for whole, part in zip((keys, values), _parts(prefix, rank=len(keys.shape)), strict=True)
    )


def unbiased_prefix(bias, prefix):
    """The bias [..., keys] with zeros for the keys of a prefix before the others."""
    nothing = [[0, 0]] * (len(bias.shape) - 1)
    return tf.pad(bias, [*nothing, [tf.shape(prefix)[2], 0]])


def _parts(prefix, rank):
    """Keys and values of the prefix, [1, heads, 1, ..., length, width] of the rank."""
    parts = tf.unstack(prefix)
    for _ in range(rank - 4):
        parts = [part[:, None] for part in parts]
    return [part[None] for part in parts]


def _shape_of_prefix(whole, part):
    return tf.concat([tf.shape(whole)[:-2], tf.shape(part)[-2:]], 0)
