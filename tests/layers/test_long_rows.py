"""Attention in blocks and within a window: the numbers of all scores at once, with less memory."""

import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.layers import blockwise_attention
from keras_bert_suite.layers.attention_products import Prefix
from keras_bert_suite.layers.self_attention import SelfAttention
from keras_bert_suite.layers.token_layout import TokenLayout

# A full row, one with a hole in the middle, one of padding alone; and packed examples in them.
_MASK = tf.constant([[1] * 11, [1] * 5 + [0] * 3 + [1] + [0] * 2, [0] * 11])
_EXAMPLES = tf.constant([[1] * 4 + [2] * 7, [1] * 3 + [2] * 2 + [0] * 3 + [2] + [0] * 2, [0] * 11])


@pytest.fixture
def layer():
    layer = SelfAttention(num_heads=2, hidden_size=8, initializer_range=1.0)
    layer.build()
    return layer


@pytest.fixture(params=[False, True], ids=["", "prefix"])
def prefix(request):
    keys, values = tf.unstack(tf.random.normal([2, 1, 2, 3, 4]))
    return (lambda: Prefix(keys, values)) if request.param else None


@pytest.fixture(params=[None, _EXAMPLES], ids=["rows", "packed"])
def row_ids(request):
    return request.param


@pytest.fixture(params=[True, False], ids=["unpadded", "padded"])
def unpadded(request):
    return request.param


def _numbers(layer, layout, rows, **options):
    """The output in rows, and the gradients of the input and of all weights."""
    real = tf.cast(layout.padding_mask, tf.float32)[:, :, None]
    with tf.GradientTape() as tape:
        tape.watch(rows)
        tokens = layer(layout.to_stream(rows), layout=layout, **options)
        output = layout.to_padded(tokens) * real
        loss = tf.reduce_sum(output**3)
    weights = [variable.value for variable in layer.trainable_variables]
    to_rows, *to_weights = tape.gradient(loss, [rows, *weights])
    return [output, to_rows * real, *to_weights]


def _assert_equal(numbers, others):
    for one, other in zip(numbers, others, strict=True):
        np.testing.assert_allclose(one, other, atol=3e-6 * float(tf.reduce_max(tf.abs(one))))


def test_blocks_give_what_all_at_once_gives(layer, prefix, row_ids, unpadded, monkeypatch):
    monkeypatch.setattr(blockwise_attention, "_BLOCK", 4)
    rows = tf.random.normal([3, 11, 8])
    at_once, in_blocks = (
        _numbers(
            layer,
            TokenLayout(_MASK, row_ids=row_ids, unpadded=unpadded, long_rows=long_rows),
            rows,
            prefix=prefix,
        )
        for long_rows in (False, True)
    )
    _assert_equal(at_once, in_blocks)


class _MaskedOutside(TokenLayout):
    """All scores at once, with those beyond the window masked."""

    def __init__(self, reach, **options):
        super().__init__(_MASK, unpadded=False, **options)
        columns = tf.range(self.length)
        near = tf.abs(columns[:, None] - columns[None]) <= reach
        self._outside = tf.where(near, 0.0, -1e4)

    def attention_bias(self, dtype):
        return tf.minimum(super().attention_bias(dtype), self._outside)


@pytest.mark.parametrize("reach", [1, 3, 20])
def test_a_window_leaves_what_is_near(layer, prefix, row_ids, unpadded, reach):
    rows = tf.random.normal([3, 11, 8])
    masked = _numbers(layer, _MaskedOutside(reach, row_ids=row_ids), rows, prefix=prefix)
    layout = TokenLayout(_MASK, row_ids=row_ids, unpadded=unpadded)
    _assert_equal(masked, _numbers(layer, layout, rows, prefix=prefix, reach=reach))


@pytest.mark.parametrize("options", [{"long_rows": True}, {"reach": 2}], ids=["blocks", "window"])
def test_xla_gives_the_same(layer, options, monkeypatch):
    monkeypatch.setattr(blockwise_attention, "_BLOCK", 4)
    rows = tf.random.normal([3, 11, 8])

    def numbers(rows):
        layout = TokenLayout(_MASK, unpadded=False, long_rows="long_rows" in options)
        return _numbers(layer, layout, rows, reach=options.get("reach"))

    _assert_equal(numbers(rows), tf.function(numbers, jit_compile=True)(rows))


def test_the_backward_pass_of_blocks_has_the_dropout_of_the_forward_pass(monkeypatch):
    """A step along the gradient changes the loss by the squared norm, the masks being the same."""
    monkeypatch.setattr(blockwise_attention, "_BLOCK", 4)
    layer = SelfAttention(num_heads=2, hidden_size=8, attention_dropout=0.5, initializer_range=0.5)
    layer.build()
    seed = tf.constant([3, 7])
    monkeypatch.setattr(layer.dropout, "new_seed", lambda: seed)
    layout = TokenLayout(tf.ones([2, 10], tf.int32), long_rows=True)

    def loss(tokens):
        return tf.reduce_sum(tf.sin(layer(tokens, layout=layout, training=True)))

    tokens = tf.random.normal([20, 8])
    with tf.GradientTape() as tape:
        tape.watch(tokens)
        before = loss(tokens)
    gradient = tape.gradient(before, tokens)
    squared = tf.reduce_sum(gradient**2)
    step = 1e-2 / tf.sqrt(squared)
    change = loss(tokens + step * gradient) - loss(tokens - step * gradient)
    np.testing.assert_allclose(change / (2 * step), squared, rtol=2e-3)
    kept = layer(tokens, layout=layout, training=False)
    assert float(tf.reduce_max(tf.abs(kept - layer(tokens, layout=layout, training=True)))) > 0.01


_PEAK = """
import sys
import tensorflow as tf
from keras_bert_suite import Encoder, EncoderConfig

length, window = int(sys.argv[1]), int(sys.argv[2]) or None
config = EncoderConfig(
    vocab_size=100, hidden_size=128, num_layers=4, num_heads=2, intermediate_size=512,
    max_positions=4096, local_attention=window,
)
encoder = Encoder(config)
for block in encoder.blocks:
    block.rematerialize = True

@tf.function(autograph=False)
def step(ids):
    with tf.GradientTape() as tape:
        loss = tf.reduce_sum(encoder({"token_ids": ids}, training=True)["sequence_output"] ** 3)
    weights = [v.value for v in encoder.trainable_variables if "pooler" not in v.path]
    return [tf.reduce_sum(tf.convert_to_tensor(g)) for g in tape.gradient(loss, weights)]

def peak():
    return int(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])

step(tf.ones([1, 128], tf.int32))
before = peak()
step(tf.ones([4096 // length, length], tf.int32))
print((peak() - before) / 1024)
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize("window", [0, 128])
def test_memory_of_a_token_does_not_grow_with_the_row(window):
    """4,096 tokens in 8 rows and in one; all scores of one row at once were 128 MB a head."""
    peaks = {}
    for length in (512, 4096):
        command = [sys.executable, "-c", _PEAK, str(length), str(window)]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        peaks[length] = float(result.stdout.split()[-1])
    print(f"MB of a step of 4,096 tokens: {peaks}")
    assert peaks[4096] < 1.2 * peaks[512] + 16
