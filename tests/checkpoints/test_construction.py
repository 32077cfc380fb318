"""Models without values: what is stored becomes the first value, the rest is drawn as usual."""

from __future__ import annotations

import gc

import keras
import ml_dtypes
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.checkpoints.construction import set_value, without_values
from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.models.encoder import Encoder


def test_a_weight_takes_the_value_and_the_rest_is_drawn():
    with without_values() as unfilled:
        layer = keras.layers.Dense(3, kernel_initializer="ones")
        layer.build((None, 2))
    assert layer.kernel._value is None
    set_value(layer.bias, np.array([1, 2, 3], np.float64))
    assert unfilled.initialize() == 1
    np.testing.assert_array_equal(layer.bias.numpy(), np.float32([1, 2, 3]))
    np.testing.assert_array_equal(layer.kernel.numpy(), np.ones([2, 3]))
    set_value(layer.bias, np.zeros(3))
    np.testing.assert_array_equal(layer(tf.ones([1, 2])), [[2, 2, 2]])


def test_a_transposed_value_arrives_in_its_order():
    theirs = np.arange(6, dtype=np.float32).reshape(3, 2)
    with without_values():
        layer = keras.layers.Dense(3, dtype="bfloat16")
        layer.build((None, 2))
    set_value(layer.kernel, theirs.T)
    assert layer.kernel.numpy().tolist() == [[0, 2, 4], [1, 3, 5]]
    assert layer.kernel.dtype == "bfloat16"


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", ">f4", "float64", "<f4"])
@pytest.mark.parametrize("order", ["C", "F", "strided"])
def test_a_value_of_any_dtype_and_order_is_copied(dtype, order):
    ml_dtypes.finfo("bfloat16")  # NumPy knows the name now
    value = np.arange(1, 7).reshape(3, 2).astype(dtype)
    value = np.repeat(value, 2, 1)[:, ::2] if order == "strided" else value.copy(order=order)
    with without_values():
        layer = keras.layers.Dense(2)
        layer.build((None, 3))
    set_value(layer.kernel, value)
    value[:] = 0
    assert layer.kernel.numpy().tolist() == [[1, 2], [3, 4], [5, 6]]
    layer.kernel.assign_add(np.ones([3, 2]))
    assert layer.kernel.numpy().tolist() == [[2, 3], [4, 5], [6, 7]]


def test_another_shape():
    with without_values():
        layer = keras.layers.Dense(3)
        layer.build((None, 2))
    with pytest.raises(ValueError, match=r"variable's shape, \[2, 3\]. Received: \[3, 2\]"):
        set_value(layer.kernel, np.zeros([3, 2]))


def test_a_fresh_pooler_and_fresh_dropout_seeds_are_drawn_as_without_a_checkpoint(tiny, tmp_path):
    """Seeded alike, what is not stored gets values of the same distribution, never zeros."""
    save_model(tiny.make_model("mlm"), tmp_path / "m")

    def drop(tensors):
        del tensors["bert.pooler.dense.weight"], tensors["bert.pooler.dense.bias"]

    tiny.edit_tensors(tmp_path / "m", drop)
    loaded = load_model(tmp_path / "m", heads=[tiny.make_head("classification")])
    kernel = loaded.encoder.pooler.kernel.numpy()
    assert 0 < np.abs(kernel).max() <= 2 * tiny.CONFIG.initializer_range
    assert len(np.unique(kernel)) == kernel.size
    assert not loaded.encoder.pooler.bias.numpy().any()
    seeds = [v.numpy().tobytes() for v in loaded.variables if v.path.endswith("generator_state")]
    assert len(set(seeds)) == len(seeds) > 3
    assert all(variable._value is not None for variable in loaded.variables)


def test_a_loaded_model_trains_and_keeps_its_states(tiny, tmp_path):
    """Optimizers and tf.train.Checkpoint see ordinary variables."""
    model = tiny.make_model("classification")
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    loaded.compile(optimizer=keras.optimizers.SGD(0.1))
    batch = {**tiny.batch(), "label_ids": np.array([0, 2], np.int32)}
    loaded.train_on_batch(batch)
    assert tiny.weight_values(loaded) != tiny.weight_values(model)
    path = tf.train.Checkpoint(weights=loaded.weights).write(str(tmp_path / "state"))
    trained = tiny.weight_values(loaded)
    again = load_model(tmp_path / "m")
    tf.train.Checkpoint(weights=again.weights).read(path).assert_consumed()
    assert tiny.weight_values(again) == trained


def test_the_next_scope_does_not_draw_again(tiny):
    with without_values() as unfilled:
        Encoder(tiny.CONFIG)
    unfilled.initialize()
    with keras.StatelessScope():
        pass


def test_an_exception_leaves_keras_as_it_was(tiny):
    with pytest.raises(RuntimeError), without_values():
        Encoder(tiny.CONFIG)
        assert not gc.isenabled()
        raise RuntimeError
    assert gc.isenabled()
    with keras.StatelessScope():
        pass
    assert Encoder(tiny.CONFIG).pooler.kernel._value is not None


def test_inside_another_scope_that_scope_is_in_charge():
    with keras.StatelessScope():
        with without_values() as unfilled:
            layer = keras.layers.Dense(3, kernel_initializer="ones")
            layer.build((None, 2))
        assert unfilled.initialize() == 0
    np.testing.assert_array_equal(layer.kernel.numpy(), np.ones([2, 3]))


def test_a_strategy_keeps_a_copy_on_each_device(tiny, tmp_path):
    save_model(tiny.make_model("mlm"), tmp_path / "m")
    with tf.distribute.MirroredStrategy(["CPU:0"]).scope():
        loaded = load_model(tmp_path / "m")
    table = loaded.encoder.embeddings.token_embeddings.embeddings.value
    assert isinstance(table, tf.distribute.DistributedValues)
    assert tiny.weight_values(loaded) == tiny.weight_values(load_model(tmp_path / "m"))
