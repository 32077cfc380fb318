"""Attention whose memory grows as the length of the rows, not as its square."""

from __future__ import annotations

import tensorflow as tf

from keras_bert_suite.layers.attention_products import softmax, with_prefix, with_prefix_bias

# Queries of a block: enough for matrix products at full speed, few enough that their scores take
# about as much memory as the layer's other activations.
_BLOCK = 256


def attend_in_blocks(query_BNSD, key_BNSD, value_BNSD, *, layout, dropout, training, prefix):
    """The numbers of `attend`, one block of queries after the other; see attention_products.

    The backward pass computes each block's weights anew, with the dropout of the first time.

    Source: Rabe & Staats 2021, arXiv:2112.05682, with blocks of queries alone; the gradient as in
      Dao et al. 2022, arXiv:2205.14135, appendix B.2.
    """
    if prefix is not None:
        key_BNSD, value_BNSD = with_prefix(key_BNSD, value_BNSD, prefix)
    blocks = _QueryBlocks(query_BNSD)
    seed = dropout.new_seed() if training and dropout.rate else None

    def bias_of(index):
        bias = layout.attention_bias_of_block(query_BNSD.dtype, index * blocks.size, blocks.size)
        return bias if prefix is None else with_prefix_bias(bias, prefix)

    # Scores are as wide as the row is long: a bias of the keys alone is one more element of each
    # key, which saves a pass over them.
    keys_alone = layout.keys_alone_are_biased

    def biased(key_BNSD):
        return _with(key_BNSD, _of_keys(bias_of(0))) if keys_alone else key_BNSD

    def weights_of(index, query_BNQD, biased_BNSD):
        if keys_alone:
            return softmax(tf.matmul(_with(query_BNQD, 1.0), biased_BNSD, transpose_b=True))
        return softmax(tf.matmul(query_BNQD, biased_BNSD, transpose_b=True) + bias_of(index))

    def dropped(weights, index):
        if seed is None:
            return weights
        return dropout.apply(weights, tf.random.experimental.stateless_fold_in(seed, index))

    def less(inner, above, index):
        """The gradient of the block's weights less `inner`, one element more of a width as well."""
        if seed is None:
            one_more = _with(above, -inner), _with(value_BNSD, 1.0)
            return tf.matmul(*one_more, transpose_b=True)
        # Dropout is linear, hence its own gradient.
        return dropped(tf.matmul(above, value_BNSD, transpose_b=True), index) - inner

    @tf.custom_gradient
    def context(query_BNSD, key_BNSD, value_BNSD):
        queries, biased_BNSD = blocks.split(query_BNSD), biased(key_BNSD)

        def forward(index):
            weights = weights_of(index, queries[index], biased_BNSD)
            return (tf.matmul(dropped(weights, index), value_BNSD),)

        (outputs,) = blocks.each(forward)

        def gradient(upstream_BNSD):
            upstreams = blocks.split(upstream_BNSD)

            def backward(index, to_key, to_value):
                weights, above = weights_of(index, queries[index], biased_BNSD), upstreams[index]
                to_value += _sum(dropped(weights, index), above)
                # The softmax's inner product, sum_k weight_k to_weight_k, is the output's with what
                # comes from above: one sum over the width in the place of one over the keys.
                inner = tf.reduce_sum(above * outputs[index], -1, keepdims=True)
                to_scores = weights * less(inner, above, index)
                to_key += _sum(to_scores, queries[index])
                return tf.matmul(to_scores, key_BNSD), to_key, to_value

            zeros = (tf.zeros(tf.shape(key_BNSD), tf.float32) for _ in range(2))
            to_queries, to_key, to_value = blocks.each(backward, *zeros)
            dtype = key_BNSD.dtype
            return blocks.join(to_queries), tf.cast(to_key, dtype), tf.cast(to_value, dtype)

        return blocks.join(outputs), gradient

    return context(query_BNSD, key_BNSD, value_BNSD)


def _with(vectors_BNSD, element):
    """Vectors of one more element, a number or [rows, 1 or heads, length, 1]."""
    shape = tf.concat([tf.shape(vectors_BNSD)[:-1], [1]], 0)
    element = tf.broadcast_to(tf.cast(element, vectors_BNSD.dtype), shape)
    return tf.concat([vectors_BNSD, element], -1)


def _of_keys(bias_B11S):
    return tf.transpose(bias_B11S, [0, 1, 3, 2])


def _sum(weights_BNQS, vectors_BNQD):
    """sum_q weight_qs vector_q: float32, since it is added up over the blocks."""
    return tf.cast(tf.matmul(weights_BNQS, vectors_BNQD, transpose_a=True), tf.float32)


class _QueryBlocks:
    """[rows, heads, length, width] in `count` blocks of `size` queries; the last is padded."""

    def __init__(self, query_BNSD):
        self._rows, self._heads, self._length, self._width = tf.unstack(tf.shape(query_BNSD))
        self._static, self._dtype = query_BNSD.shape, query_BNSD.dtype
        self.size = tf.clip_by_value(self._length, 1, _BLOCK)
        self.count = -(-self._length // self.size)

    def split(self, whole):
        """[count, rows, heads, size, width]."""
        missing = self.count * self.size - self._length
        padded = tf.pad(whole, [[0, 0], [0, 0], [0, missing], [0, 0]])
        shape = [self._rows, self._heads, self.count, self.size, self._width]
        return tf.transpose(tf.reshape(padded, shape), [2, 0, 1, 3, 4])

    def join(self, blocks):
        """What `split` parted."""
        shape = [self._rows, self._heads, self.count * self.size, self._width]
        whole = tf.reshape(tf.transpose(blocks, [1, 2, 0, 3, 4]), shape)[:, :, : self._length]
        return tf.ensure_shape(whole, self._static)

    def each(self, function, *sums):
        """Runs function(index, *sums) block after block, each giving (block, *sums).

        Returns the blocks, stacked, and the last sums.
        """

        def body(index, array, *sums):
            block, *added = function(index, *sums)
            added = (tf.ensure_shape(new, old.shape) for new, old in zip(added, sums, strict=True))
            return index + 1, array.write(index, block), *added

        rows, heads, _, width = self._static
        array = tf.TensorArray(
            self._dtype, size=self.count, element_shape=[rows, heads, None, width]
        )
        _, array, *sums = tf.while_loop(
            lambda index, *_: index < self.count, body, (0, array, *sums), parallel_iterations=1
        )
        return array.stack(), *sums
