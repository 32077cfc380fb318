"""Where the real tokens of a padded batch lie, so that the encoder computes only those."""

from __future__ import annotations

import tensorflow as tf
from tensorflow.python.ops import control_flow_util

# Added to the attention scores of padding before the softmax: exp(-1e4) is 0 in every floating
# dtype, and the number is finite in float16, so that a row of padding alone gives finite numbers.
_MASKED_SCORE = -1e4


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
        return sequence_BSH[:, 0]
    return tf.gather(sequence_BSH, batch["cls_positions"], batch_dims=1)


class _Cells:
    """Rows of cells of which some hold the tokens of a stream, and the way between the two.

    Args:
      kept: int32 [tokens], the cell of each token, counted through all rows.
      slots: int32 [cells], the token in each cell; the number of tokens where there is none.
    """

    def __init__(self, kept, slots):
        self._kept, self._slots = kept, slots

    def gather(self, flat):
        """Returns the stream [tokens, ...] of [cells, ...]."""
        if not flat.dtype.is_floating:
            return tf.gather(flat, self._kept)

        # Every index is used once, so the gradient of a gather is the opposite gather, not a
        # scatter.
        @tf.custom_gradient
        def gather(values):
            return tf.gather(values, self._kept), self._spread

        return gather(flat)

    def spread(self, stream):
        """Returns [cells, ...] of a stream; zeros where there is no token."""

        @tf.custom_gradient
        def spread(values):
            return self._spread(values), lambda upstream: tf.gather(upstream, self._kept)

        return spread(stream)

    def _spread(self, values):
        # zeros of one row and not zeros_like(values[:1]): a batch of padding alone has no first
        # token
        zeros = tf.zeros(tf.concat([[1], tf.shape(values)[1:]], 0), values.dtype)
        return tf.gather(tf.concat([values, zeros], 0), self._slots)


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

    def __init__(self, padding_mask, *, row_ids=None, unpadded: bool | None = None):
        """Reads the layout off the mask.

        Args:
          padding_mask: int32 [batch, length]; 1 marks a real token, anywhere in the row.
          row_ids: int32 [batch, length], the number of each token's example in its row; any
            numbers in any order. None: a row is one example.
          unpadded: True computes the real tokens only, False every position; None decides by
            `shapes_must_be_static`.
        """
        self.padding_mask = padding_mask
        self.unpadded = not shapes_must_be_static() if unpadded is None else unpadded
        self.batch_size, self.length = tf.unstack(tf.shape(padding_mask))
        self.attention_shape = (self.batch_size, self.length)
        self._attention_mask, self._examples = padding_mask > 0, row_ids
        self._biases: dict[tf.DType, tf.Tensor] = {}
        if self.unpadded:
            flat = tf.reshape(padding_mask, [-1])
            kept = tf.cast(tf.where(flat > 0)[:, 0], tf.int32)
            # A padding position reads the row of zeros that is appended to the stream.
            slots = tf.where(flat > 0, tf.cumsum(flat) - 1, tf.size(kept))
            self._cells = self._attention_cells = _Cells(kept, slots)
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

    def to_attention(self, stream):
        """Returns the attention rows [rows, width, ...] of [tokens, ...]; padding as to_padded."""
        flat = self._attention_cells.spread(stream) if self.unpadded else stream
        return _in_rows(flat, self.attention_shape)

    def from_attention(self, rows):
        """Returns [tokens, ...] of attention rows [rows, width, ...]."""
        flat = _flat(rows)
        return self._attention_cells.gather(flat) if self.unpadded else flat

    def attention_bias(self, dtype):
        """Returns [rows, 1, 1 or width, width], what to add to the scores of query and key.

        0 for real keys of the query's example, a large negative number for all others.
        """
        dtype = tf.as_dtype(dtype)
        if dtype not in self._biases:
            seen = self._attention_mask[:, None, None, :]
            if self._examples is not None:
                own = self._examples[:, None, :, None] == self._examples[:, None, None, :]
                seen = tf.logical_and(seen, own)
            self._biases[dtype] = (1 - tf.cast(seen, dtype)) * _MASKED_SCORE
        return self._biases[dtype]

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
            return cells, own_slots, count, width, tf.zeros([count, width], tf.int32)

        def padded_rows():
            return kept, slots, self.batch_size, self.length, self._examples

        cells, slots, rows, width, examples = tf.cond(
            _pairs(count, width) < _pairs(self.batch_size, self.length), own_rows, padded_rows
        )
        self._attention_cells = _Cells(cells, slots)
        self.attention_shape = (rows, width)
        self._attention_mask = tf.reshape(slots < tf.size(kept), [rows, width])
        self._examples = examples


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
