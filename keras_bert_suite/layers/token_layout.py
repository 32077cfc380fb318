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


class TokenLayout:
    """The two shapes of a batch, and the way between them.

    Padded rows [batch, length, ...] are what users give and what attention needs. The stream
    [tokens, ...] holds the tokens to compute: the real ones in row order, or, where shapes must be
    static, every position. The layers between see a stream and do not know which of the two it is.
    """

    def __init__(self, padding_mask, *, unpadded: bool | None = None):
        """Reads the layout off the mask.

        Args:
          padding_mask: int32 [batch, length]; 1 marks a real token, anywhere in the row.
          unpadded: True computes the real tokens only, False every position; None decides by
            `shapes_must_be_static`.
        """
        self.padding_mask = padding_mask
        self.unpadded = not shapes_must_be_static() if unpadded is None else unpadded
        self.batch_size, self.length = tf.unstack(tf.shape(padding_mask))
        self._biases: dict[tf.DType, tf.Tensor] = {}
        if self.unpadded:
            flat = tf.reshape(padding_mask, [-1])
            self._kept = tf.cast(tf.where(flat > 0)[:, 0], tf.int32)
            # A padding position reads the row of zeros that `_spread` appends to the stream.
            self._slots = tf.where(flat > 0, tf.cumsum(flat) - 1, tf.size(self._kept))

    def to_stream(self, padded):
        """Returns [tokens, ...] of [batch, length, ...]."""
        flat = tf.reshape(padded, tf.concat([[-1], tf.shape(padded)[2:]], 0))
        flat.set_shape([None, *padded.shape[2:]])
        if not self.unpadded:
            return flat

        # Every index is used once, so the gradient of a gather is the opposite gather, not a
        # scatter.
        @tf.custom_gradient
        def gather(values):
            return tf.gather(values, self._kept), self._spread

        return gather(flat) if flat.dtype.is_floating else tf.gather(flat, self._kept)

    def to_padded(self, stream):
        """Returns [batch, length, ...] of [tokens, ...].

        Unpadded, the padding holds zeros; padded, it holds what was computed there.
        """
        flat = stream
        if self.unpadded:

            @tf.custom_gradient
            def spread(values):
                return self._spread(values), lambda upstream: tf.gather(upstream, self._kept)

            flat = spread(stream)
        padded = tf.reshape(
            flat, tf.concat([[self.batch_size, self.length], tf.shape(stream)[1:]], 0)
        )
        return tf.ensure_shape(padded, [*self.padding_mask.shape, *stream.shape[1:]])

    def attention_bias(self, dtype):
        """Returns [batch, 1, 1, length]: 0 for real tokens, a large negative number for padding."""
        dtype = tf.as_dtype(dtype)
        if dtype not in self._biases:
            padding = 1 - tf.cast(self.padding_mask > 0, dtype)
            self._biases[dtype] = (padding * _MASKED_SCORE)[:, None, None, :]
        return self._biases[dtype]

    def _spread(self, values):
        # zeros of one row and not zeros_like(values[:1]): a batch of padding alone has no first
        # token
        zeros = tf.zeros(tf.concat([[1], tf.shape(values)[1:]], 0), values.dtype)
        return tf.gather(tf.concat([values, zeros], 0), self._slots)
