import numpy as np
import pytest
import tensorflow as tf
import training_toy as toy

from keras_bert_suite.training.weight_average import averaged_weights


def batches(count):
    source = toy.RandomSource()
    return [{k: tf.constant(v) for k, v in source.rows(step).items()} for step in range(count)]


@pytest.mark.parametrize("precision", ["float32", "float16"])
def test_is_the_average_by_hand_and_leaves_the_weights(one_device, precision):
    model = toy.bag_model(one_device, ema=0.75, precision=precision)
    with one_device.scope():
        model.optimizer.build(model.trainable_variables)
    expected = None
    for step, batch in enumerate(batches(4)):
        one_device.run(model.train_step, args=(batch,))
        now = [v.numpy().astype(np.float64) for v in model.trainable_variables]
        # The average begins as the weights after the first update.
        if step == 0:
            expected = now
        expected = [0.75 * old + 0.25 * new for old, new in zip(expected, now, strict=True)]
    weights = toy.weights_of(model)
    with averaged_weights(model):
        for variable, value in zip(model.trainable_variables, expected, strict=True):
            np.testing.assert_allclose(variable.numpy(), value, atol=1e-6)
        assert np.abs(model.classifier.kernel.numpy() - now[1]).max() > 1e-4
    for before, after in zip(weights, toy.weights_of(model), strict=True):
        np.testing.assert_array_equal(before, after)


def test_without_an_update_or_an_average_the_weights_stay(one_device):
    for options in ({"ema": 0.9}, {}):
        model = toy.bag_model(one_device, **options)
        with one_device.scope():
            model.optimizer.build(model.trainable_variables)
        weights = toy.weights_of(model)
        with averaged_weights(model):
            for before, after in zip(weights, toy.weights_of(model), strict=True):
                np.testing.assert_array_equal(before, after)


def test_the_weights_come_back_after_an_error(one_device):
    model = toy.bag_model(one_device, ema=0.5)
    for batch in batches(3):
        one_device.run(model.train_step, args=(batch,))
    weights = toy.weights_of(model)
    with pytest.raises(RuntimeError), averaged_weights(model):
        raise RuntimeError
    for before, after in zip(weights, toy.weights_of(model), strict=True):
        np.testing.assert_array_equal(before, after)
