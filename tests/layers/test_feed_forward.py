import numpy as np
import pytest
import tensorflow as tf
from layer_checks import check_layer

from keras_bert_suite.layers.activations import activation_to_learn, get_activation
from keras_bert_suite.layers.feed_forward import FeedForward


def test_keras_contract():
    tokens = tf.random.normal([5, 4])
    layer = FeedForward(
        intermediate_size=8, hidden_size=4, activation="gelu_tanh", initializer_range=0.5
    )
    check_layer(layer, lambda layer, training: layer(tokens))


@pytest.mark.parametrize(
    ("activation", "expected"),
    # of 1: relu 1, silu 1 / (1 + e^-1), gelu Phi(1), its tanh approximation differs in the fourth
    # digit
    [("relu", 1.0), ("silu", 0.731059), ("gelu", 0.841345), ("gelu_tanh", 0.841192)],
)
def test_activation_between_two_dense_layers(activation, expected):
    layer = FeedForward(intermediate_size=1, hidden_size=1, activation=activation)
    layer.build()
    layer.intermediate.kernel.assign([[0.5]])
    layer.output_dense.kernel.assign([[2.0]])
    layer.output_dense.bias.assign([0.25])
    np.testing.assert_allclose(layer(tf.constant([[2.0]])), [[2 * expected + 0.25]], atol=2e-6)


def test_an_unknown_activation_is_refused():
    with pytest.raises(ValueError, match="`activation` must be one of gelu, gelu_tanh, relu, silu"):
        FeedForward(intermediate_size=1, hidden_size=1, activation="swiglu")


@pytest.mark.parametrize("name", ["gelu", "gelu_tanh", "relu", "silu"])
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-5), ("bfloat16", 0.02)])
def test_an_activation_to_learn_has_the_values_and_the_slope_of_the_plain_one(
    name, dtype, tolerance
):
    numbers = tf.cast(np.concatenate([np.linspace(-12, 12, 1001), [-1e4, 0, 1e4]]), dtype)

    def values_and_slope(activation, x):
        with tf.GradientTape() as tape:
            tape.watch(x)
            values = activation(x)
        return values, tape.gradient(values, x)

    # The plain one in float32: in bfloat16 its own slope is rounded at every step.
    expected = values_and_slope(get_activation(name), tf.cast(numbers, "float32"))
    for ours, wanted in zip(
        values_and_slope(activation_to_learn(name), numbers), expected, strict=True
    ):
        assert ours.dtype == numbers.dtype
        np.testing.assert_allclose(tf.cast(ours, "float32"), wanted, atol=tolerance, rtol=tolerance)
