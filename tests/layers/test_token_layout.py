import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.layers.token_layout import TokenLayout

_MASK = [[1, 1, 0], [1, 0, 1], [0, 0, 0]]


def test_stream_holds_the_real_tokens_in_row_order():
    layout = TokenLayout(tf.constant(_MASK))
    stream = layout.to_stream(tf.constant([[1, 2, 3], [4, 5, 6], [7, 8, 9]]))
    assert stream.numpy().tolist() == [1, 2, 4, 6]


def test_padding_comes_back_as_zeros():
    layout = TokenLayout(tf.constant(_MASK))
    padded = layout.to_padded(tf.constant([[1.0], [2.0], [4.0], [6.0]]))
    assert padded.numpy()[..., 0].tolist() == [[1, 2, 0], [4, 0, 6], [0, 0, 0]]


def test_padded_layout_keeps_every_position():
    layout = TokenLayout(tf.constant(_MASK), unpadded=False)
    rows = tf.constant([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0], [7.0, 8.0, 9.0]])[..., None]
    assert layout.to_stream(rows).shape == (9, 1)
    np.testing.assert_array_equal(layout.to_padded(layout.to_stream(rows)), rows)


def test_gradients_are_the_opposite_gather():
    layout = TokenLayout(tf.constant(_MASK))
    rows = tf.Variable(tf.random.normal([3, 3, 2]))
    factors = tf.constant([1.0, 10.0, 100.0, 1000.0])[:, None]
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layout.to_stream(rows) * factors)
    expected = [[1, 10, 0], [100, 0, 1000], [0, 0, 0]]
    assert tape.gradient(total, rows).numpy()[..., 0].tolist() == expected

    stream = tf.Variable(tf.ones([4, 1]))
    with tf.GradientTape() as tape:
        total = tf.reduce_sum(layout.to_padded(stream) * tf.reshape(tf.range(9.0), [3, 3, 1]))
    assert tape.gradient(total, stream).numpy()[:, 0].tolist() == [0, 1, 3, 5]


def test_of_a_batch_of_padding_alone_comes_back_nothing():
    layout = TokenLayout(tf.zeros([2, 3], tf.int32))
    stream = layout.to_stream(tf.ones([2, 3, 4]))
    assert stream.shape == (1, 4)
    np.testing.assert_array_equal(layout.to_padded(stream), np.zeros([2, 3, 4]))


def test_a_batch_without_rows_has_an_empty_stream():
    layout = TokenLayout(tf.zeros([0, 3], tf.int32))
    stream = layout.to_stream(tf.ones([0, 3, 4]))
    assert stream.shape == (0, 4)
    assert layout.to_padded(stream).shape == (0, 3, 4)
    (rows,) = layout.split_heads(stream, parts=1, heads=2)
    assert rows.shape == (0, 2, 3, 2)
    assert layout.merge_heads(rows).shape == (0, 4)


@pytest.mark.parametrize("mask", [_MASK, [[0, 0, 0]] * 2])
def test_heads_and_their_gradients_are_those_of_the_padded_rows(mask):
    """Through a product that, as attention does, gives no weight to the cells without a token."""
    rows = tf.random.stateless_normal([len(mask), 3, 12], [1, 2])
    found = []
    for unpadded in (True, False):
        layout = TokenLayout(tf.constant(mask), unpadded=unpadded)
        real = tf.cast(layout.padding_mask, tf.float32)
        with tf.GradientTape() as tape:
            tape.watch(rows)
            one, other = layout.split_heads(layout.to_stream(rows), parts=2, heads=3)
            seen = one * tf.reduce_sum(other * real[:, None, :, None], 2, keepdims=True)
            output = layout.to_padded(layout.merge_heads(seen)) * real[..., None]
            total = tf.reduce_sum(output**2)
        found.append((output.numpy(), tape.gradient(total, rows).numpy()))
    np.testing.assert_allclose(found[0][0], found[1][0], atol=1e-5)
    np.testing.assert_allclose(found[0][1], found[1][1], atol=1e-4)


@pytest.mark.parametrize("jit_compile", [False, True])
def test_shapes_are_static_under_xla_alone(jit_compile):
    seen = []

    @tf.function(jit_compile=jit_compile)
    def trace(mask):
        layout = TokenLayout(mask)
        seen.append(layout.unpadded)
        return layout.to_padded(layout.to_stream(tf.ones([3, 3, 1])))

    trace(tf.constant(_MASK))
    assert seen[-1] is not jit_compile


def test_bias_is_zero_for_real_tokens_and_finite_for_padding():
    bias = TokenLayout(tf.constant(_MASK)).attention_bias(tf.float16)
    assert bias.shape == (3, 1, 1, 3)
    assert bias.numpy()[0, 0, 0].tolist()[:2] == [0, 0]
    assert -np.inf < float(bias[0, 0, 0, 2]) <= -9000


def test_an_even_stream_ends_in_padding_that_nobody_reads():
    mask = np.zeros([8, 5], np.int32)
    mask[:, :3] = 1  # 24 real tokens, 32 of 40 positions computed
    layout = TokenLayout(tf.constant(mask), even=True)
    rows = tf.Variable(np.arange(40.0).reshape(8, 5, 1))
    with tf.GradientTape() as tape:
        stream = layout.to_stream(rows)
        padded = layout.to_padded(stream)
        total = tf.reduce_sum(padded * 2)
    assert stream[:, 0].numpy().tolist() == [
        *(5 * row + column for row in range(8) for column in range(3)),
        *(3, 4, 8, 9, 13, 14, 18, 19),
    ]
    np.testing.assert_array_equal(padded[..., 0], mask * rows[..., 0])
    np.testing.assert_array_equal(tape.gradient(total, rows)[..., 0], 2 * mask)


@pytest.mark.parametrize(
    "real, positions, computed",
    # 16 rows at least; 32 lengths between 1024 and 2048; never more than there is
    [(0, 40, 16), (3, 40, 16), (33, 40, 40), (33, 100, 48), (1030, 4000, 1056), (1030, 1040, 1040)],
)
def test_an_even_stream_has_one_of_few_lengths(real, positions, computed):
    mask = tf.cast(tf.range(positions) < real, tf.int32)[None]
    layout = TokenLayout(mask, even=True)
    assert layout.to_stream(tf.zeros([1, positions, 2])).shape[0] == computed


def test_packed_rows_keep_their_real_tokens_alone():
    mask = tf.constant([[1, 1, 0, 0], [1, 0, 0, 0]])
    layout = TokenLayout(mask, row_ids=tf.constant([[1, 2, 0, 0], [1, 0, 0, 0]]), even=True)
    assert layout.to_stream(mask).numpy().tolist() == [1, 1, 1]
