"""The ways between a stream of tokens and the cells of rows that hold them."""

from __future__ import annotations

import tensorflow as tf


class Cells:
    """Rows of cells of which some hold the tokens of a stream, and the way between the two.

    Every token stands in one cell, so that the gradient of a gather is the opposite gather; no way
    here scatters. Tokens from `count` on are computed but not real: their cells count as empty.

    Args:
      kept: int32 [tokens], the cell of each token, counted through all rows; not empty where there
        are cells.
      slots: int32 [cells], the token in each cell; the number of tokens where there is none.
      shape: int32 scalars (rows, width).
      count: int32 scalar, the real tokens, which come first; None: all.
    """

    def __init__(self, kept, slots, shape, *, count=None):
        self._kept, self._slots = kept, slots
        self._shape = shape
        self._count = tf.size(kept) if count is None else count

    def gather(self, flat):
        """Returns the stream [tokens, ...] of [cells, ...]."""
        if not flat.dtype.is_floating:
            return tf.gather(flat, self._kept)

        @tf.custom_gradient
        def gather(values):
            return tf.gather(values, self._kept), self._spread

        return gather(flat)

    def spread(self, stream):
        """Returns [cells, ...] of a stream; zeros where there is no token."""

        @tf.custom_gradient
        def spread(values):
            return self._spread(values), self._gradient_of_spread

        return spread(stream)

    def split_heads(self, stream, *, parts, heads):
        """Returns the parts of a stream, heads before columns: [rows, heads, width, head width].

        One gather a part, of vectors as long as a head, does it without a transposition of the
        rows. Cells without a token hold that of another: attention does not see them, and what they
        see is not read.

        Args:
          stream: floating [tokens, parts * heads * head width].
          parts: queries, keys and values are three.
          heads: in each part.
        """
        size = stream.shape[-1] // (parts * heads)

        @tf.custom_gradient
        def split(values):
            vectors = tf.reshape(values, [-1, size])
            slots = tf.minimum(self._slots, tf.size(self._kept) - 1)
            found = [tf.gather(vectors, index) for index in self._vectors(slots, parts, heads)]

            def gradient(*upstreams):
                return tf.concat([self._merged(rows, heads) for rows in upstreams], -1)

            return found, gradient

        return split(stream)

    def merge_heads(self, rows):
        """Returns the stream [tokens, heads * head width] of what `split_heads` returns."""
        _, heads, _, size = rows.shape

        @tf.custom_gradient
        def merge(values):
            def gradient(upstream):
                # What empty cells hold was not read: they take the zeros behind the others.
                vectors = tf.reshape(upstream, [-1, size])
                vectors = tf.concat([vectors, tf.zeros([1, size], upstream.dtype)], 0)
                (slots,) = self._vectors(self._slots, parts=1, heads=heads)
                return tf.gather(vectors, tf.minimum(slots, tf.size(self._kept) * heads))

            return self._merged(values, heads), gradient

        return merge(rows)

    def _merged(self, rows_BNSD, heads):
        size = rows_BNSD.shape[-1]
        width = self._shape[1]
        row, column = self._kept // width, self._kept % width
        firsts = row * (heads * width) + column
        cells_TN = firsts[:, None] + (tf.range(heads) * width)[None]
        merged = tf.gather(tf.reshape(rows_BNSD, [-1, size]), cells_TN)
        return tf.reshape(merged, [-1, heads * size])

    def _vectors(self, slots, parts, heads):
        """For each part int32 [rows, heads, width], where the slot's token has its vector."""
        slots = tf.reshape(slots, [self._shape[0], 1, self._shape[1]]) * (parts * heads)
        return [slots + (tf.range(heads) + part * heads)[None, :, None] for part in range(parts)]

    def _gradient_of_spread(self, upstream):
        real = tf.range(tf.size(self._kept)) < self._count
        real = tf.reshape(real, tf.concat([[-1], tf.ones_like(tf.shape(upstream)[1:])], 0))
        return tf.where(real, tf.gather(upstream, self._kept), tf.zeros([], upstream.dtype))

    def _spread(self, values):
        zeros = tf.zeros(tf.concat([[1], tf.shape(values)[1:]], 0), values.dtype)
        return tf.gather(tf.concat([values, zeros], 0), self._slots)
