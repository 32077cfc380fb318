"""Attention within a window around each token: work and memory grow as the length of the rows."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.layers.attention_products import softmax, with_prefix, with_prefix_bias
from keras_bert_suite.layers.token_layout import in_blocks, neighbours


def attend_in_window(query_BNSD, key_BNSD, value_BNSD, *, reach, layout, dropout, training, prefix):
    """Each token sees those at most `reach` columns to its left and right; see attention_products.

    Queries stand in blocks as long as the window reaches, so that a block and its two neighbours
    hold all keys that its queries see.

    Source: Beltagy et al. 2020, arXiv:2004.05150, section 3.1; Warner et al. 2024 (ModernBERT),
      arXiv:2412.13663, section 2.1.2.
    """
    length = tf.shape(query_BNSD)[2]
    size = tf.clip_by_value(length, 1, reach)
    queries = in_blocks(query_BNSD, size)
    keys, values = (neighbours(in_blocks(rows, size)) for rows in (key_BNSD, value_BNSD))
    bias = layout.attention_bias_of_window(query_BNSD.dtype, reach, size)
    if prefix is not None:
        keys, values = with_prefix(keys, values, prefix)
        bias = with_prefix_bias(bias, prefix)
    weights = softmax(tf.matmul(queries, keys, transpose_b=True) + bias)
    context = tf.matmul(dropout(weights, training=training), values)
    shape = tf.shape(query_BNSD)
    whole = tf.reshape(context, [shape[0], shape[1], -1, shape[3]])[:, :, :length]
    return tf.ensure_shape(whole, query_BNSD.shape)
