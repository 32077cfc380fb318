import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.layers.encoder_block import EncoderBlock
from keras_bert_suite.layers.token_layout import TokenLayout

MASK = np.array([[1, 1, 1, 1], [1, 1, 0, 0], [0, 0, 0, 0]], np.int32)


def gradients(*, rematerialize, dropout=0.5, jit_compile=False, graph=True):
    """(loss, gradients) of two blocks that share their weights, as ALBERT's."""
    keras.utils.set_random_seed(3)
    block = EncoderBlock(
        num_heads=2,
        hidden_size=8,
        intermediate_size=16,
        hidden_dropout=dropout,
        attention_dropout=dropout,
        initializer_range=0.5,
        rematerialize=rematerialize,
    )
    block.build()

    def compute(mask, rows):
        rows_of = TokenLayout(mask, unpadded=not jit_compile)
        tokens = rows_of.to_stream(rows)
        variables = [v.value for v in block.trainable_variables]
        with tf.GradientTape() as tape:
            tape.watch(rows)
            tape.watch(tokens)
            out = block(block(tokens, layout=rows_of, training=True), layout=rows_of, training=True)
            loss = tf.reduce_sum(rows_of.to_padded(out)[:2, :2] ** 3)
        return [loss, *tape.gradient(loss, [tokens, *variables])]

    if graph:
        compute = tf.function(compute, jit_compile=jit_compile, autograph=False)
    rows = tf.constant(np.random.default_rng(0).normal(size=(3, 4, 8)), tf.float32)
    return [tensor.numpy() for tensor in compute(tf.constant(MASK), rows)]


def test_gradients_are_the_same_to_the_bit_with_dropout():
    plain = gradients(rematerialize=False, graph=False)
    again = gradients(rematerialize=True, graph=False)
    assert len(plain) == 14
    for one, other in zip(plain, again, strict=True):
        assert np.abs(one).max() > 0
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.parametrize("jit_compile", [False, True])
def test_compiled_gradients_differ_by_rounding_alone(jit_compile):
    # Both compilers fuse operations whose inner results nobody keeps.
    plain = gradients(rematerialize=False, jit_compile=jit_compile)
    again = gradients(rematerialize=True, jit_compile=jit_compile)
    for one, other in zip(plain, again, strict=True):
        np.testing.assert_allclose(one, other, atol=2e-5 * np.abs(one).max())


_PEAK = """
import sys
import tensorflow as tf
from keras_bert_suite.layers.encoder_block import EncoderBlock
from keras_bert_suite.layers.token_layout import TokenLayout

blocks = [
    EncoderBlock(num_heads=4, hidden_size=128, intermediate_size=512, hidden_dropout=0.1,
                 attention_dropout=0.1, rematerialize=sys.argv[1] == "True")
    for _ in range(8)
]
for block in blocks:
    block.build()

@tf.function(autograph=False)
def step(mask, rows):
    layout = TokenLayout(mask)
    variables = [v.value for block in blocks for v in block.trainable_variables]
    with tf.GradientTape() as tape:
        tokens = layout.to_stream(rows)
        for block in blocks:
            tokens = block(tokens, layout=layout, training=True)
        loss = tf.reduce_sum(tokens**3)
    return [tf.reduce_sum(g) for g in tape.gradient(loss, variables)]

def run(rows):
    step(tf.ones([rows, 512], tf.int32), tf.random.normal([rows, 512, 128]))
    # Not ru_maxrss: that one starts from the peak of the process that started this one.
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])

before = run(1)
print((run(12) - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_saves_memory_at_long_rows():
    peaks = {}
    for rematerialize in (False, True):
        command = [sys.executable, "-c", _PEAK, str(rematerialize)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[rematerialize] = float(result.stdout.split()[-1])
    print(f"MB beyond the first step: {peaks}")
    # 8 layers' activations against 1 layer's and 8 inputs
    assert peaks[True] < 0.4 * peaks[False]
