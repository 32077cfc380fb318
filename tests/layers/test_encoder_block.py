import numpy as np
import tensorflow as tf
from layer_checks import check_layer, layout

from keras_bert_suite.layers.encoder_block import EncoderBlock


def test_keras_contract():
    rows = layout([[1, 1, 1], [1, 1, 0]])
    tokens = tf.random.normal([5, 8])
    layer = EncoderBlock(
        num_heads=2,
        hidden_size=8,
        intermediate_size=16,
        activation="silu",
        hidden_dropout=0.1,
        attention_dropout=0.2,
        layer_norm_epsilon=1e-5,
        initializer_range=0.1,
        rematerialize=True,
    )
    check_layer(layer, lambda layer, training: layer(tokens, layout=rows, training=training))


def test_norm_comes_after_the_residual():
    """With all kernels at zero a block is LayerNorm(LayerNorm(x)), which is LayerNorm(x)."""
    layer = EncoderBlock(num_heads=1, hidden_size=2, intermediate_size=2)
    layer.build()
    for variable in layer.trainable_variables:
        if variable.name == "kernel":
            variable.assign(tf.zeros_like(variable))
    output = layer(tf.constant([[5.0, 1.0]]), layout=layout([[1]]))
    np.testing.assert_allclose(output, [[1.0, -1.0]], atol=1e-6)
