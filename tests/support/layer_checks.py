"""The check that every layer passes: what Keras users expect of any layer."""

from __future__ import annotations

import keras
import numpy as np
import tensorflow as tf

from keras_bert_suite.layers.token_layout import TokenLayout


def layout(rows):
    """Returns the TokenLayout of a padding mask given as a list of rows."""
    return TokenLayout(tf.constant(rows, tf.int32))


def check_layer(layer, call):
    """Checks config round trip, a training step and mixed precision.

    Args:
      layer: a layer with hyper-parameters other than its defaults.
      call: function of (layer, training) -> output tensor.
    """
    config = layer.get_config()
    layer.build()
    before = call(layer, training=False)

    twin = type(layer).from_config(config)
    assert twin.get_config() == config
    twin.build()
    assert [v.shape for v in twin.weights] == [v.shape for v in layer.weights]
    for mine, theirs in zip(twin.weights, layer.weights, strict=True):
        mine.assign(theirs)
    np.testing.assert_array_equal(call(twin, training=False), before)

    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(call(layer, training=True) ** 2)
    variables = [v.value for v in layer.trainable_variables]
    assert variables and all(g is not None for g in tape.gradient(loss, variables))

    half = type(layer).from_config({**config, "dtype": "mixed_bfloat16"})
    half.build()
    for mine, theirs in zip(half.weights, layer.weights, strict=True):
        mine.assign(theirs)
        assert mine.dtype == theirs.dtype
    output = call(half, training=False)
    assert output.dtype == tf.bfloat16
    # bfloat16 keeps 8 bits: errors of a few hundredths on numbers of size 1
    np.testing.assert_allclose(tf.cast(output, tf.float32), before, atol=0.1)
    assert isinstance(keras.saving.get_registered_name(type(layer)), str)
    assert keras.saving.get_registered_object(
        keras.saving.get_registered_name(type(layer))
    ) is type(layer)
