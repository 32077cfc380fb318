import math

import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_layer, layout

from keras_bert_suite.layers.self_attention import SelfAttention


def test_keras_contract():
    rows = layout([[1, 1, 1], [1, 1, 0]])
    tokens = tf.random.normal([5, 8])
    layer = SelfAttention(num_heads=2, hidden_size=8, attention_dropout=0.1, initializer_range=0.3)
    check_layer(layer, lambda layer, training: layer(tokens, layout=rows, training=training))


def test_weights_of_ten_elevenths_by_hand():
    """The scores of query 1 are the keys, 0 and ln 10: the softmax is 1/11 and 10/11."""
    layer = SelfAttention(num_heads=1, hidden_size=1)
    layer.build()
    # q = 1 for every token (bias), k = x * ln 10, v = x
    layer.query_key_value.kernel.assign([[0.0, math.log(10.0), 1.0]])
    layer.query_key_value.bias.assign([1.0, 0.0, 0.0])
    layer.output_dense.kernel.assign([[1.0]])
    output = layer(tf.constant([[0.0], [1.0]]), layout=layout([[1, 1]]))
    np.testing.assert_allclose(output, [[10 / 11], [10 / 11]], rtol=1e-6)


def test_rows_do_not_see_each_other_and_padding_is_not_seen():
    layer = SelfAttention(num_heads=2, hidden_size=4, initializer_range=1.0)
    layer.build()
    tokens = tf.random.normal([5, 4])
    together = layer(tokens, layout=layout([[1, 1, 0, 0], [1, 1, 1, 0]]))
    alone = layer(tokens[:2], layout=layout([[1, 1]]))
    np.testing.assert_allclose(together[:2], alone, atol=1e-6)


def test_heads_must_divide_the_width():
    with pytest.raises(ValueError, match="`num_heads` must divide `hidden_size`"):
        SelfAttention(num_heads=3, hidden_size=8)
