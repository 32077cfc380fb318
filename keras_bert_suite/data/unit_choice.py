"""Which tokens or whole words of a row are chosen for prediction."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

_NEVER = np.int64(2**62)


def choose_units(
    candidates: tf.Tensor, starts: tf.Tensor, *, numbers: tf.Tensor, budgets: tf.Tensor
) -> tf.Tensor:
    """Draws units (runs of tokens from one start to the next) in random order while they fit.

    Args:
      candidates: bool [B, S].
      starts: bool [B, S], the first tokens of units; every candidate belongs to one.
      numbers: int64 [B, S], random, in [0, 2**62).
      budgets: int32 [B], tokens to choose at most.

    Returns:
      bool [B, S], the tokens of the chosen units.
    """
    # Units are numbered row by row; [B, S] holds one entry a unit and nothing beyond the last.
    length = tf.shape(candidates)[1]
    unit = tf.cumsum(tf.cast(starts, tf.int32), axis=1) - 1
    unit_lengths = _unit_lengths(unit, candidates, length)
    score = tf.where(starts, numbers, _NEVER)
    # The scores of starts move to the front, which gives them by unit; then units are shuffled.
    start_order = tf.argsort(tf.where(starts, 0, 1), axis=1, stable=True)
    unit_scores = tf.gather(score, start_order, batch_dims=1)
    order = tf.argsort(unit_scores, axis=1, stable=True)
    taken = _fitting(tf.gather(unit_lengths, order, batch_dims=1), budgets)
    inverse = tf.argsort(order, axis=1)
    unit_taken = tf.gather(taken, inverse, batch_dims=1)
    return candidates & tf.gather(unit_taken, tf.maximum(unit, 0), batch_dims=1)


def _unit_lengths(unit: tf.Tensor, candidates: tf.Tensor, length: tf.Tensor) -> tf.Tensor:
    """int32 [B, S]: tokens of unit 0, 1, ... of each row; 0 beyond the last."""
    rows = tf.shape(unit)[0]
    flat = tf.maximum(unit, 0) + tf.range(rows)[:, tf.newaxis] * length
    counts = tf.math.unsorted_segment_sum(
        tf.reshape(tf.cast(candidates, tf.int32), [-1]), tf.reshape(flat, [-1]), rows * length
    )
    return tf.reshape(counts, [rows, length])


def _fitting(lengths: tf.Tensor, budgets: tf.Tensor) -> tf.Tensor:
    """Takes units in order, skipping each that exceeds what is left: bool [B, units].

    One pass takes all up to the first that does not fit, in every row at once; what is left never
    grows, so those skipped stay skipped. Passes go on until no row takes more (units of one token
    need one pass and one to see the end).
    """

    def still_fits(taken: tf.Tensor, left: tf.Tensor) -> tf.Tensor:
        return ~taken & (lengths > 0) & (lengths <= left[:, tf.newaxis])

    def body(taken: tf.Tensor, left: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        open_units = still_fits(taken, left)
        total = tf.cumsum(tf.where(open_units, lengths, 0), axis=1)
        new = open_units & (total <= left[:, tf.newaxis])
        used = tf.reduce_sum(tf.where(new, lengths, 0), axis=1)
        return taken | new, left - used

    taken, _ = tf.while_loop(
        lambda taken, left: tf.reduce_any(still_fits(taken, left)),
        body,
        [tf.zeros_like(lengths, tf.bool), budgets],
    )
    return taken
