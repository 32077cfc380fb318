"""What TensorFlow counts and draws is taken out of a SavedModel."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import saved_model_pb2

from keras_bert_suite.serving import canonical


def save(path):
    """A SavedModel with all that is named after a counter: loops, captures, branches."""
    module = tf.Module()
    module.table = tf.Variable([1.0, 2.0, 3.0])
    constant = tf.constant([4.0, 5.0])  # captured, and named after its number

    def power(x):
        _, y = tf.while_loop(
            lambda i, _: i < 3,
            lambda i, y: (i + 1, y * module.table[i] + tf.reduce_sum(constant)),
            (0, x),
        )
        with tf.control_dependencies([tf.debugging.Assert(tf.reduce_all(y > 0), ["positive"])]):
            return {"y": tf.identity(y)}

    spec = tf.TensorSpec([None], tf.float32, name="x")
    module.call = tf.function(power, input_signature=[spec], autograph=False)
    tf.saved_model.save(module, str(path), signatures={"serving_default": module.call})
    return path


def content(path):
    return {
        str(file.relative_to(path)): file.read_bytes() for file in path.rglob("*") if file.is_file()
    }


def answer(path):
    call = tf.saved_model.load(str(path)).signatures["serving_default"]
    return call(x=tf.constant([1.0, 2.0]))["y"].numpy()


def test_two_of_the_same_become_equal_and_go_on_to_answer(tmp_path):
    one, other = save(tmp_path / "one"), save(tmp_path / "other")
    assert content(one) != content(other), "there would be nothing to do"
    before = answer(one)
    canonical.make_canonical(one)
    canonical.make_canonical(other)
    assert content(one) == content(other)
    # ((x * 1 + 9) * 2 + 9) * 3 + 9
    np.testing.assert_array_equal(before, [96.0, 102.0])
    np.testing.assert_array_equal(answer(one), before)
    canonical.make_canonical(other)
    assert content(one) == content(other), "a second time changes nothing"


def test_functions_are_numbered_through(tmp_path):
    path = save(tmp_path / "one")
    canonical.make_canonical(path)
    saved_model = saved_model_pb2.SavedModel.FromString((path / "saved_model.pb").read_bytes())
    library = saved_model.meta_graphs[0].graph_def.library
    names = [function.signature.name for function in library.function]
    assert names == sorted(names)
    assert any(name.startswith("__inference_power__") for name in names)
    assert canonical._numbered(["f_12", "f_9", "g_3", "h", "f_100"]) == {
        "f_9": "f__0",
        "f_12": "f__1",
        "f_100": "f__2",
        "g_3": "g__3",
    }
