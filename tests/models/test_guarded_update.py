import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.models.exact_model import ExactModel
from keras_bert_suite.models.guarded_update import UpdateGuard


class Line(ExactModel):
    """The loss is the mean of sqrt(w x): 0 with an infinite gradient at x = 0."""

    term_names = ("line",)
    metric_term_names = ()

    def __init__(self):
        super().__init__()
        self.w = self.add_weight(shape=(), initializer="ones", name="w")
        self.built = True

    def call(self, batch, training=None):
        return tf.sqrt(self.w * batch["x"])

    def loss_weights(self, batch):
        return {"line": tf.constant(1.0)}

    def loss_terms(self, outputs, batch):
        return {"line": (tf.reduce_mean(outputs), 1.0)}

    def metric_terms(self, outputs, batch):
        return {}


def model_of(optimizer=None, **options):
    model = Line()
    model.compile(optimizer or keras.optimizers.Adam(0.01), guard_updates=True, **options)
    model.optimizer.build(model.trainable_variables)
    return model


def step(model, x):
    model.step_of_test = getattr(model, "step_of_test", None) or tf.function(model.train_step)
    return float(model.step_of_test({"x": tf.constant([x])})["loss"])


def state(model):
    return [v.numpy() for v in [*model.trainable_variables, *model.optimizer.variables]]


@pytest.mark.parametrize("x", [np.nan, np.inf, -1.0, 0.0])
def test_a_step_that_is_not_finite_changes_nothing_and_is_counted(x):
    model = model_of()
    first = step(model, 4.0)
    before = state(model)
    assert step(model, x) == first  # nor does it enter the mean
    np.testing.assert_array_equal(state(model), before)
    assert int(model.update_guard.skipped) == 1
    step(model, 4.0)
    assert int(model.optimizer.iterations) == 2
    assert int(model.update_guard.skipped) == 1


def test_without_a_guard_the_weights_are_lost():
    model = Line()
    model.compile("adam")
    step(model, np.nan)
    assert np.isnan(float(model.w.numpy()))


def test_a_spike_is_a_loss_above_the_median_times_the_factor():
    model = model_of(keras.optimizers.SGD(0.0), spike_factor=3.0)
    # sqrt(100) = 10, a spike if there were a median; it needs 16 losses.
    for x in [1.0] * 8 + [100.0] * 7:
        step(model, x)
    assert int(model.update_guard.skipped) == 0
    step(model, 1.0)  # the 16th: 9 losses of 1 and 7 of 10 have the upper median 1
    step(model, 9.01)  # sqrt > 3
    assert int(model.update_guard.skipped) == 1
    step(model, 8.99)
    assert int(model.update_guard.skipped) == 1
    # A spike does not move the median, good losses do: 64 of them push all others out.
    for _ in range(64):
        step(model, 4.0)
    step(model, 35.9)
    assert int(model.update_guard.skipped) == 1
    step(model, 36.1)
    assert int(model.update_guard.skipped) == 2


def test_an_overflow_is_the_loss_scales_business_until_it_cannot_fall():
    optimizer = keras.optimizers.LossScaleOptimizer(keras.optimizers.SGD(0.1), initial_scale=2.0)
    model = model_of(optimizer)
    step(model, 0.0)  # a finite loss with an infinite gradient
    assert (float(optimizer.dynamic_scale), int(model.update_guard.skipped)) == (1.0, 0)
    step(model, 0.0)
    assert (float(optimizer.dynamic_scale), int(model.update_guard.skipped)) == (1.0, 1)
    assert float(model.w.numpy()) == 1.0


def test_the_guard_survives_saving(tmp_path):
    config = model_of(spike_factor=2.5).get_compile_config()
    other = Line()
    other.compile_from_config(config)
    assert other.update_guard.spike_factor == 2.5


def test_refuses_a_factor_that_would_refuse_usual_losses():
    with pytest.raises(ValueError, match="spike_factor must be greater than 1. Received: 1.0"):
        UpdateGuard(1.0)
