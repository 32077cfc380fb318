"""Where the real tokens of a padded batch lie, so that the encoder computes only those."""

from __future__ import annotations

import math
from typing import Any

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

from keras_bert_suite.layers.cells import Cells

# Added to the attention scores of padding before the softmax: exp(-1e4) is 0 in every floating
# dtype, and the number is finite in float16, so that a row of padding alone gives finite numbers.
MASKED_SCORE = -1e4
# The rows that a matrix unit takes at once (a tile of AMX).
_FEWEST_ROWS = 16


def shapes_must_be_static() -> bool:
    """Returns True where XLA compiles what is being traced (`jit_compile=True`, TPU)."""
    if tf.executing_eagerly():
        return False
    return bool(control_flow_util.GraphOrParentsInXlaContext(tf.compat.v1.get_default_graph()))


def first_tokens(sequence_BSH, batch):
    """Returns each example's first token, [CLS]: the first position of a row, [batch, hidden].

    Of packed rows those at the batch's `cls_positions`, int32 [batch, examples]: [batch, examples,
    hidden].
    """
    if "cls_positions" not in batch:
        # the sum of one, which is there too where a batch of no texts has no positions
        return tf.reduce_sum(sequence_BSH[:, :1], 1)
    return tf.gather(sequence_BSH, batch["cls_positions"], batch_dims=1)


class TokenLayout:
    """The shapes of a batch, and the ways between them.

    Padded rows [batch, length, ...] are what users give. The stream [tokens, ...] holds the tokens
    to compute: the real ones in row order, or, where shapes must be static, every position. The
    layers between see a stream and do not know which of the two it is.

    Attention needs rows again. They are the padded rows, in which the tokens of packed examples see
    their own example alone; or, where shapes are free and that is less work, every example has an
    attention row of its own.

    Attributes:
      attention_shape: int32 scalars (rows, width) of the attention rows.
    """

    def __init__(
        self,
        padding_mask,
        *,
        row_ids=None,
        unpadded: bool | None = None,
        long_rows: bool = False,
        even: bool = False,
    ):
        """Reads the layout off the mask.

        Args:
          padding_mask: int32 [batch, length]; 1 marks a real token, anywhere in the row.
          row_ids: int32 [batch, length], the number of each token's example in its row; any
            numbers in any order. None: a row is one example.
          unpadded: True computes the real tokens only, False every position; None decides by
            `shapes_must_be_static`.
          long_rows: True where rows may be so long that the scores of all their tokens at once
            would fill the memory; see attend_in_blocks.
          even: True lets an unpadded stream have one of few lengths, see `_kept`; packed rows keep
            their real tokens alone.
        """
        self.long_rows, self.even = long_rows, even
        self.padding_mask = padding_mask
        self.unpadded = not shapes_must_be_static() if unpadded is None else unpadded
        self.batch_size, self.length = tf.unstack(tf.shape(padding_mask))
        self.attention_shape = (self.batch_size, self.length)
        self._attention_mask, self._examples = padding_mask > 0, row_ids
        self._columns = tf.range(self.length)[None]
        self._biases: dict[tuple[tf.DType, Any], tf.Tensor] = {}
        if self.unpadded:
            flat = tf.reshape(padding_mask, [-1])
            count, kept = _kept(flat > 0, even=even and row_ids is None)
            # A padding position reads the row of zeros that is appended to the stream.
            slots = tf.where(flat > 0, tf.cumsum(flat) - 1, tf.size(kept))
            self._cells = Cells(kept, slots, self.attention_shape, count=count)
            self._attention_cells = self._cells
            if row_ids is not None:
                self._choose_attention_rows(kept, slots)

    def to_stream(self, padded):
        """Returns [tokens, ...] of [batch, length, ...]."""
        flat = _flat(padded)
        return self._cells.gather(flat) if self.unpadded else flat

    def to_padded(self, stream):
        """Returns [batch, length, ...] of [tokens, ...].

        Unpadded, the padding holds zeros; padded, it holds what was computed there.
        """
        flat = self._cells.spread(stream) if self.unpadded else stream
        padded = _in_rows(flat, (self.batch_size, self.length))
        return tf.ensure_shape(padded, [*self.padding_mask.shape, *stream.shape[1:]])

    def split_heads(self, stream, *, parts, heads):
        """Returns the attention rows of a stream, [rows, heads, width, head width] for each part.

        Args:
          stream: floating [tokens, parts * heads * head width].
          parts: queries, keys and values are three.
          heads: in each part.
        """
        if self.unpadded:
            return self._attention_cells.split_heads(stream, parts=parts, heads=heads)
        size = stream.shape[-1] // (parts * heads)
        rows = tf.reshape(stream, [*self.attention_shape, parts, heads, size])
        # unstack, not indexing: the gradient of an index is a strided slice, a third of the step
        # when measured
        return tf.unstack(tf.transpose(rows, [2, 0, 3, 1, 4]))

    def merge_heads(self, rows):
        """Returns the stream [tokens, heads * head width] of [rows, heads, width, head width]."""
        if self.unpadded:
            return self._attention_cells.merge_heads(rows)
        _, heads, _, size = rows.shape
        return tf.reshape(tf.transpose(rows, [0, 2, 1, 3]), [-1, heads * size])

    def attention_bias(self, dtype):
        """Returns [rows, 1, 1 or width, width], what to add to the scores of query and key.

        0 for real keys of the query's example, a large negative number for all others.
        """
        return self._bias(dtype, "all", lambda: self._seen(self._examples))

    @property
    def keys_alone_are_biased(self):
        """Whether every query of a row has the same bias: rows that are one example each."""
        return self._examples is None

    def attention_bias_of_block(self, dtype, start, size):
        """Returns [rows, 1, 1 or size, width], that of the queries from `start` on.

        The rows may end before start + size. Not kept, since it is asked for within loops.
        """
        queries = self._examples
        if queries is not None:
            queries = tf.pad(queries, [[0, 0], [0, size]])[:, start : start + size]
        return _score(self._seen(queries), dtype)

    def attention_bias_of_window(self, dtype, reach, size):
        """Returns [rows, 1, blocks, size, 3 size]: queries in blocks of `size`, and as keys those
        of the block and its two neighbours (see `neighbours`).

        0 for keys at most `reach` columns of the padded row away that attention_bias leaves too.
        """
        return self._bias(dtype, reach, lambda: self._seen_in_window(reach, size))

    def _bias(self, dtype, name, seen):
        key = (tf.as_dtype(dtype), name)
        if key not in self._biases:
            self._biases[key] = _score(seen(), dtype)
        return self._biases[key]

    def _seen(self, queries):
        # LiteRT has no slice that makes two axes.
        seen = tf.expand_dims(tf.expand_dims(self._attention_mask, 1), 1)
        if queries is None:
            return seen
        own = queries[:, None, :, None] == self._examples[:, None, None, :]
        return tf.logical_and(seen, own)

    def _seen_in_window(self, reach, size):
        queries = in_blocks(self._columns[..., None], size)
        distance = tf.linalg.matrix_transpose(neighbours(queries)) - queries
        near = tf.abs(distance) <= reach
        real = neighbours(in_blocks(self._attention_mask[..., None], size))[..., 0]
        seen = tf.logical_and(near, real[..., None, :])
        if self._examples is not None:
            queries = in_blocks(self._examples[..., None], size)
            own = queries == tf.linalg.matrix_transpose(neighbours(queries))
            seen = tf.logical_and(seen, own)
        return seen[:, None]

    def _choose_attention_rows(self, kept, slots):
        """Gives every example an attention row of its own where that makes fewer scores.

        A score is a pair of cells of one row. Many short examples beside a long one would make
        more, since all rows are as wide as the longest.
        """
        numbers = tf.gather(_flat(self._examples), kept)
        # Row and number as one: the numbers are int32, so that 2**32 keeps rows apart.
        row_and_number = tf.cast(kept // self.length, tf.int64) * 2**32 + tf.cast(numbers, tf.int64)
        _, example_T, lengths_E = tf.unique_with_counts(row_and_number)
        count, width = tf.size(lengths_E), tf.reduce_max(tf.concat([lengths_E, [1]], 0))

        def own_rows():
            cells = example_T * width + _ranks(example_T, lengths_E)
            empty = tf.fill([count * width], tf.size(kept))
            own_slots = tf.tensor_scatter_nd_update(empty, cells[:, None], tf.range(tf.size(kept)))
            columns = tf.scatter_nd(cells[:, None], kept % self.length, [count * width])
            columns = tf.reshape(columns, [count, width])
            return cells, own_slots, count, width, tf.zeros([count, width], tf.int32), columns

        def padded_rows():
            columns = tf.broadcast_to(self._columns, [self.batch_size, self.length])
            return kept, slots, self.batch_size, self.length, self._examples, columns

        cells, slots, rows, width, self._examples, self._columns = tf.cond(
            _pairs(count, width) < _pairs(self.batch_size, self.length), own_rows, padded_rows
        )
        self.attention_shape = (rows, width)
        self._attention_cells = Cells(cells, slots, self.attention_shape)
        self._attention_mask = tf.reshape(slots < tf.size(kept), [rows, width])


def _kept(real, *, even):
    """Returns (int32 scalar, int32 [tokens]): how many positions are real, and what is computed.

    The real positions come first, in row order. Padding follows until the stream has one of few
    lengths, 32 between a power of two and the next, since oneDNN compiles each matrix product anew
    for each length: 20 ms of a training step of 6 x 384. It is padding that is there anyway, whose
    answers nobody reads and whose gradient is zero; full rows need none.

    Args:
      real: bool [positions].
      even: False takes the real positions alone, whatever their number.
    """
    places = tf.range(tf.size(real))
    padding = tf.boolean_mask(places, ~real)
    count = tf.size(real) - tf.size(padding)
    # One position stands for a batch of padding alone: nothing is gathered from nothing.
    length = tf.maximum(count, 1)
    if even:
        power = tf.math.log(tf.cast(length, tf.float32)) / math.log(2.0)
        step = tf.maximum(_FEWEST_ROWS, 2 ** tf.maximum(tf.cast(power, tf.int32) - 5, 0))
        length = -(-length // step) * step
    return count, tf.concat([tf.boolean_mask(places, real), padding[: length - count]], 0)


def in_blocks(rows, size):
    """Returns [..., blocks, size, width] of [..., length, width], the last block padded."""
    missing = -tf.shape(rows)[-2] % size
    padded = tf.pad(rows, [*[[0, 0]] * (len(rows.shape) - 2), [0, missing], [0, 0]])
    shape = tf.shape(padded)
    blocks = tf.reshape(padded, [*tf.unstack(shape[:-2]), shape[-2] // size, size, shape[-1]])
    return blocks


def neighbours(blocks):
    """Returns [..., blocks, 3 size, width]: the block before each, itself, and the one after.

    Zeros before the first block and after the last.
    """
    edges = [*[[0, 0]] * (len(blocks.shape) - 3), [1, 1], [0, 0], [0, 0]]
    padded = tf.pad(blocks, edges)
    before, after = padded[..., :-2, :, :], padded[..., 2:, :, :]
    return tf.concat([before, blocks, after], -2)


def _score(seen, dtype):
    """What to add to the scores: 0 for what is seen."""
    return (1 - tf.cast(seen, dtype)) * MASKED_SCORE


def _ranks(example_T, lengths_E):
    """int32 [tokens]: how many tokens of its example stand before each token."""
    order = tf.argsort(example_T, stable=True)
    firsts = tf.gather(tf.cumsum(lengths_E, exclusive=True), tf.gather(example_T, order))
    return tf.scatter_nd(
        order[:, None], tf.range(tf.size(example_T)) - firsts, [tf.size(example_T)]
    )


def _pairs(rows, width):
    return tf.cast(rows, tf.int64) * tf.cast(width, tf.int64) ** 2


def _flat(rows):
    """[rows * width, ...] of [rows, width, ...]."""
    flat = tf.reshape(rows, tf.concat([[-1], tf.shape(rows)[2:]], 0))
    flat.set_shape([None, *rows.shape[2:]])
    return flat


def _in_rows(flat, shape):
    """[rows, width, ...] of [rows * width, ...]."""
    return tf.reshape(flat, tf.concat([shape, tf.shape(flat)[1:]], 0))
