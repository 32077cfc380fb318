"""Random numbers without a generator: hashes of (row key, stream, position).

Every row has its own numbers whatever batch, replica or process it stands in, and all are drawn at
once.

Source: SplitMix64, from Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
OOPSLA 2014.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tensorflow as tf

_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
NUM_STREAMS = 4


def row_keys(*parts: Any) -> np.ndarray:
    """Hashes integers and integer arrays, in order, to int64 keys of their common shape."""
    key = np.zeros([], np.uint64)
    with np.errstate(over="ignore"):
        for part in parts:
            value = np.asarray(part).astype(np.int64).astype(np.uint64)
            mixed = (key ^ value) + np.uint64(_GOLDEN)
            mixed = (mixed ^ (mixed >> np.uint64(30))) * np.uint64(_MIX_1)
            mixed = (mixed ^ (mixed >> np.uint64(27))) * np.uint64(_MIX_2)
            key = mixed ^ (mixed >> np.uint64(31))
    return key.astype(np.int64)


def random_bits(keys: tf.Tensor, positions: tf.Tensor, stream: int) -> tf.Tensor:
    """Gives SplitMix64 at the counters (stream, position) of each row's key: uint64 [B, N].

    Args:
      keys: int64 [B], from `row_keys`.
      positions: int32 [N] for all rows alike, or [B, N].
      stream: 0 to NUM_STREAMS - 1; streams are independent of each other.
    """
    counters = tf.cast(positions, tf.uint64) * NUM_STREAMS + (1 + stream)
    z = tf.bitcast(keys, tf.uint64)[:, tf.newaxis] + counters * _uint64(_GOLDEN)
    z = _xor_shifted(z, 30) * _uint64(_MIX_1)
    z = _xor_shifted(z, 27) * _uint64(_MIX_2)
    return _xor_shifted(z, 31)


def uniform(bits: tf.Tensor) -> tf.Tensor:
    """Gives float64 in [0, 1), with 53 of the random bits."""
    return tf.cast(tf.bitwise.right_shift(bits, _uint64(11)), tf.float64) / 2.0**53


def positive(bits: tf.Tensor) -> tf.Tensor:
    """Gives int64 in [0, 2**62), with 62 of the random bits."""
    return tf.cast(tf.bitwise.right_shift(bits, _uint64(2)), tf.int64)


def _xor_shifted(z: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, _uint64(bits)))


def _uint64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)
