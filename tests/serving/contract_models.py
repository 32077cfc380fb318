"""Small SavedModels made with TensorFlow alone, for tests of servers.

half_plus_two: y = 0.5 x + 2, as in TF Serving's own tests; versions 1 and 2 (y = 0.5 x + 3 there),
labels stable and canary. echo: strings in, the same strings and their lengths out.

To hold a real TF Serving to the same tests:

    python tests/serving/contract_models.py /tmp/contract
    docker run -p 8500:8500 -p 8501:8501 -v /tmp/contract:/tmp/contract tensorflow/serving \\
        --model_config_file=/tmp/contract/models.config
    TFS_ADDRESS=localhost:8500 TFS_REST_ADDRESS=localhost:8501 pytest tests/serving/server
"""

from __future__ import annotations

import sys
from pathlib import Path

import tensorflow as tf


def write_half_plus_two(directory: Path, *, constant: float = 2.0) -> None:
    """One version: serving_default (x -> y), classify_x_to_y, regress_x_to_y."""
    module = tf.Module()
    module.slope, module.constant = tf.Variable(0.5), tf.Variable(constant)

    def compute(x):
        return {"y": module.slope * x + module.constant}

    def on_vector(x):
        return compute(tf.ensure_shape(x, [None]))

    def on_examples(output):
        def call(inputs):
            features = {"x": tf.io.FixedLenFeature([1], tf.float32)}
            return {output: compute(tf.io.parse_example(inputs, features)["x"])["y"]}

        return _function(call, tf.TensorSpec([None], tf.string, name="inputs"))

    module.functions = {
        "serving_default": _function(on_vector, tf.TensorSpec([None], tf.float32, name="x")),
        "classify_x_to_y": on_examples("scores"),
        "regress_x_to_y": on_examples("outputs"),
    }
    tf.saved_model.save(module, str(directory), signatures=module.functions)


def write_echo(directory: Path) -> None:
    """One version: text -> text, length, word_bytes; rows that are `fail` fail in the graph."""

    def echo(text):
        text = tf.ensure_shape(text, [None])
        allowed = tf.debugging.Assert(tf.reduce_all(text != "fail"), ["must not be `fail`"])
        with tf.control_dependencies([allowed]):
            return {
                "text": tf.identity(text),
                "length": tf.strings.length(text),
                "text_bytes": tf.identity(text),
            }

    module = tf.Module()
    module.echo = _function(echo, tf.TensorSpec([None], tf.string, name="text"))
    tf.saved_model.save(module, str(directory), signatures={"serving_default": module.echo})


def write_all(root: Path) -> Path:
    """Both models and the config file that serves them; returns the file's path."""
    write_half_plus_two(root / "half_plus_two" / "00000001")
    write_half_plus_two(root / "half_plus_two" / "2", constant=3.0)
    write_echo(root / "echo" / "7")
    config = root / "models.config"
    config.write_text(
        f"""model_config_list {{
  config {{
    name: "half_plus_two" base_path: "{root}/half_plus_two" model_platform: "tensorflow"
    model_version_policy {{ all {{}} }}
    version_labels {{ key: "stable" value: 1 }}
    version_labels {{ key: "canary" value: 2 }}
  }}
  config {{ name: "echo" base_path: "{root}/echo" model_platform: "tensorflow" }}
}}
"""
    )
    return config


def _function(function, spec: tf.TensorSpec):
    return tf.function(function, input_signature=[spec], autograph=False)


if __name__ == "__main__":
    print(write_all(Path(sys.argv[1]).resolve()))
