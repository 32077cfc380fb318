"""Which spans of words of a row are chosen for prediction, and what borders on them.

Source: Joshi et al. 2019 (SpanBERT), arXiv:1907.10529, section 3.1.
"""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.row_randomness import uniform

_NEVER = np.int64(2**62)
# The low bits of a token's place in the drawing order are its position; 42 random bits remain.
_POSITION_BITS = np.int64(2**20 - 1)


def span_lengths(bits: tf.Tensor, *, p: float, longest: int) -> tf.Tensor:
    """Draws lengths in words, geometric over 1..longest and renormalised: int32, of bits' shape.

    Args:
      bits: uint64, random.
      p: probability that a span ends after a word; 0.2 over 1..10 gives a mean of 3.80 words.
      longest: most words.
    """
    ends = np.cumsum(p * (1 - p) ** np.arange(longest))
    bounds = tf.constant((ends / ends[-1])[:-1], tf.float64)
    drawn = tf.searchsorted(bounds, tf.reshape(uniform(bits), [-1]), side="right")
    return tf.reshape(1 + drawn, tf.shape(bits))


def choose_spans(
    candidates: tf.Tensor,
    starts: tf.Tensor,
    *,
    numbers: tf.Tensor,
    lengths: tf.Tensor,
    budgets: tf.Tensor,
) -> tf.Tensor:
    """Draws spans of words until each row's budget is used up, to the token.

    A token is drawn uniformly among those that are not chosen yet (the same as to draw among all
    and to skip the chosen: tokens are visited in the order of `numbers`). Its span begins with the
    first piece of its word and ends after the drawn number of words, before a token that is no
    candidate, or where the budget is used up. What the span shares with earlier ones is not counted
    twice.

    Args:
      candidates: bool [B, S]; a span lies within one run of them.
      starts: bool [B, S], the first pieces of words.
      numbers: int64 [B, S], random, in [0, 2**62).
      lengths: int32 [B, S], the words of a span that is drawn by this token.
      budgets: int32 [B], tokens to choose.

    Returns:
      bool [B, S], the tokens of all spans: budgets, or all candidates where they are fewer.
    """
    size = tf.shape(candidates)[1]
    # Words count up by one, and by a row's length at a token that is no candidate, which no span
    # reaches across.
    word = tf.cumsum(tf.cast(starts, tf.int32) + tf.where(candidates, 0, size), axis=1)
    lengths = tf.minimum(lengths, size)
    order = tf.bitwise.bitwise_or(
        tf.bitwise.bitwise_and(numbers, ~_POSITION_BITS), tf.range(size, dtype=tf.int64)
    )
    num_candidates = tf.reduce_sum(tf.cast(candidates, tf.int32), axis=1)

    def draw(
        order: tf.Tensor, latest: tf.Tensor, left: tf.Tensor
    ) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        token = tf.bitwise.bitwise_and(tf.reduce_min(order, axis=1), _POSITION_BITS)
        first = tf.gather(word, token, batch_dims=1)
        wants = left > 0
        words = tf.where(wants, tf.gather(lengths, token, batch_dims=1), 0)
        end = (first + words)[:, tf.newaxis]
        new = (word >= first[:, tf.newaxis]) & (word < end) & (order < _NEVER)
        left -= tf.reduce_sum(tf.cast(new, tf.int32), axis=1)
        return (
            tf.where(new, _NEVER, order),
            tf.where(wants[:, tf.newaxis], new, latest),
            left,
        )

    order, latest, left = tf.while_loop(
        lambda order, latest, left: tf.reduce_any(left > 0),
        draw,
        [
            tf.where(candidates, order, _NEVER),
            tf.zeros_like(candidates),
            tf.minimum(budgets, num_candidates),
        ],
    )
    # The last span of a row is cut from its end.
    from_end = tf.cumsum(tf.cast(latest, tf.int32), axis=1, reverse=True)
    cut = latest & (from_end <= -left[:, tf.newaxis])
    return candidates & (order == _NEVER) & ~cut


def runs(positions: tf.Tensor, real: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
    """Gives the first and last position of the run of adjacent positions that each belongs to.

    Spans that overlap or adjoin are one run, whose neighbours are not chosen.

    Args:
      positions: int32 [B, P], rising where `real`.
      real: bool [B, P]; what is not real is a run of its own.
    """
    adjoins = (positions[:, 1:] == positions[:, :-1] + 1) & real[:, 1:]
    run = tf.cumsum(tf.pad(tf.cast(~adjoins, tf.int32), [[0, 0], [1, 0]]), axis=1)
    first = tf.searchsorted(run, run, side="left")
    last = tf.searchsorted(run, run, side="right") - 1
    return (
        tf.gather(positions, first, batch_dims=1),
        tf.gather(positions, last, batch_dims=1),
    )
