import subprocess
import sys
import textwrap

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.layers.dropout import Dropout


def test_a_share_of_rate_is_zero_and_the_mean_stays():
    output = Dropout(0.25, seed=1)(tf.ones([100_000]), training=True).numpy()
    assert np.unique(output).tolist() == pytest.approx([0.0, 4 / 3])
    # standard error of the share: sqrt(0.25 * 0.75 / 100,000) = 0.0014
    assert (output == 0).mean() == pytest.approx(0.25, abs=0.006)


def test_every_call_draws_anew_and_the_seed_decides():
    layer, twin = Dropout(0.5, seed=3), Dropout(0.5, seed=3)
    first, second = layer(tf.ones([64]), training=True), layer(tf.ones([64]), training=True)
    assert not np.array_equal(first, second)
    np.testing.assert_array_equal(twin(tf.ones([64]), training=True), first)


def test_nothing_happens_outside_training():
    inputs = tf.random.normal([5])
    np.testing.assert_array_equal(Dropout(0.9)(inputs, training=False), inputs)
    np.testing.assert_array_equal(Dropout(0.0)(inputs, training=True), inputs)


def test_a_rate_near_one_keeps_the_numbers_finite():
    output = Dropout(1 - 1e-6, seed=1)(tf.ones([1_000_000]), training=True).numpy()
    assert np.isfinite(output).all()
    assert np.unique(output).tolist() == [0.0, 2.0**16]


def test_config_round_trip():
    layer = Dropout(0.3, seed=7, name="d")
    assert Dropout.from_config(layer.get_config()).get_config() == layer.get_config()


def test_a_rate_of_one_is_refused():
    with pytest.raises(ValueError, match=r"`rate` must be a probability in \[0, 1\)"):
        Dropout(1.0)


def test_masks_differ_between_replicas():
    script = """
        import tensorflow as tf
        cpu = tf.config.list_physical_devices("CPU")[0]
        two = [tf.config.LogicalDeviceConfiguration()] * 2
        tf.config.set_logical_device_configuration(cpu, two)
        from keras_bert_suite.layers.dropout import Dropout
        strategy = tf.distribute.MirroredStrategy(["CPU:0", "CPU:1"])
        with strategy.scope():
            layer = Dropout(0.5, seed=0)
        step = tf.function(lambda: layer(tf.ones([256]), training=True))
        first, second = strategy.experimental_local_results(strategy.run(step))
        agreement = float(tf.reduce_mean(tf.cast(first == second, tf.float32)))
        assert 0.3 < agreement < 0.7, agreement
    """
    subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=True)
