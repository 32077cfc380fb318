"""A server imports what it needs; each test in a process that has imported nothing."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

START = """
import sys
from keras_bert_suite.serving.server.imports import import_tensorflow, register_text_ops
import_tensorflow()
"""


def run(code, **environment):
    result = subprocess.run(
        [sys.executable, "-c", START + code],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert result.returncode == 0, result.stderr[-2000:]
    return result.stdout.split()


# TensorFlow with that variable would ask for a package that need not be installed.
@pytest.mark.parametrize("environment", [{}, {"TF_USE_LEGACY_KERAS": "1"}])
def test_a_server_comes_without_keras(environment):
    code = """
from keras_bert_suite.serving.server import server
unwanted = {"keras", "tf_keras", "tensorflow_text", "matplotlib"}
print(*sorted(unwanted & set(sys.modules)))
"""
    assert run(code, **environment) == []


def test_keras_can_be_imported_afterwards():
    code = """
import keras, tensorflow as tf
print(keras.layers.Dense(2)(tf.ones([3, 4])).shape, tf.keras.layers.Dense is keras.layers.Dense)
"""
    assert run(code) == ["(3,", "2)", "True"]


def test_keras_that_is_there_already_stays():
    code = """
import keras
before = keras
import_tensorflow()
print(sys.modules["keras"] is before)
"""
    assert run(code) == ["True"]


def test_the_ops_are_those_that_tensorflow_text_brings():
    count = """
from tensorflow.core.framework import op_def_pb2
from tensorflow.python.client import pywrap_tf_session as session
ops = op_def_pb2.OpList.FromString(session.TF_GetBuffer(session.TF_GetAllOpList()))
print(*sorted(op.name for op in ops.op))
"""
    ours = run(f"register_text_ops(){count}")
    assert "FastWordpieceTokenizeWithOffsets" in ours
    assert ours == run(f"import tensorflow_text{count}")
