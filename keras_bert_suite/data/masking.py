"""Dynamic masking in the graph: a pure function of each row and its key.

Random numbers are hashes of (row key, stream, position), not a generator's stream: every row has
its own numbers whatever batch, replica or process it stands in, and all are drawn at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

MASKINGS = ("token", "whole_word")
# The SplitMix64 generator: Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
# OOPSLA 2014.
_GOLDEN = 0x9E3779B97F4A7C15
_MIX_1 = 0xBF58476D1CE4E5B9
_MIX_2 = 0x94D049BB133111EB
_CHOICE, _KIND, _REPLACEMENT = 0, 1, 2
_MASK_SHARE, _RANDOM_SHARE = 0.8, 0.1
_NEVER = np.int64(2**62)


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


@dataclass(frozen=True, kw_only=True, eq=False)
class Masking:
    """Chooses tokens to predict and hides them.

    A row of n tokens ([CLS] and [SEP] counted) gets min(max_predictions, max(1, round(fraction n)))
    predictions (round half to even, fewer where the row has fewer tokens to choose from). They are
    drawn uniformly without replacement among all tokens but [CLS], [SEP] and [PAD]. Each is then
    replaced by [MASK] with probability 0.8, by a random token that is not special with 0.1, and
    left as it is with 0.1.

    "whole_word" draws words (a WordPiece with the "##" pieces after it, within one segment) in
    random order and skips a word that does not fit in what is left of the budget; a short row of
    long words may so get no prediction. 80/10/10 is still drawn for each piece.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1; whole words as in
    google-research/bert, create_pretraining_data.py. Deviation: the original draws the random
    token from the whole vocabulary, special tokens included.
    """

    kind: str
    fraction: float
    max_predictions: int
    continuation: np.ndarray
    special_ids: tuple[int, ...]
    pad_id: int
    cls_id: int
    sep_id: int
    mask_id: int

    def __post_init__(self) -> None:
        if self.kind not in MASKINGS:
            raise ValueError(
                f"masking must be one of {', '.join(MASKINGS)}. Received: {self.kind!r}."
            )
        if not 0.0 < self.fraction < 1.0:
            raise ValueError(f"mask_fraction must be in (0, 1). Received: {self.fraction}.")
        if self.max_predictions < 1:
            raise ValueError(
                f"max_predictions must be at least 1. Received: {self.max_predictions}."
            )

    @classmethod
    def for_tokenizer(
        cls, tokenizer: Any, *, kind: str, fraction: float, max_predictions: int
    ) -> Masking:
        """Makes the masking for a tokenizer's vocabulary."""
        return cls(
            kind=kind,
            fraction=fraction,
            max_predictions=max_predictions,
            continuation=np.asarray(tokenizer.continuation, np.bool_),
            special_ids=tuple(int(i) for i in tokenizer.special_ids),
            pad_id=int(tokenizer.pad_id),
            cls_id=int(tokenizer.cls_id),
            sep_id=int(tokenizer.sep_id),
            mask_id=int(tokenizer.mask_id),
        )

    def num_predictions(self, lengths: Any) -> np.ndarray:
        """Gives the budget of rows with these numbers of tokens: int32, the shape of `lengths`."""
        wanted = np.rint(self.fraction * np.asarray(lengths, np.float64)).astype(np.int32)
        return np.minimum(self.max_predictions, np.maximum(1, wanted))

    def __call__(
        self, batch: Mapping[str, tf.Tensor], *, keys: tf.Tensor, budgets: tf.Tensor, width: Any
    ) -> dict[str, tf.Tensor]:
        """Gives the batch with hidden tokens and the prediction keys.

        Args:
          batch: at least token_ids int32 [B, S] and padding_mask int32 [B, S].
          keys: int64 [B], from `row_keys`.
          budgets: int32 [B], from `num_predictions`.
          width: P, an int or int32 scalar that no budget exceeds.

        Returns:
          The batch with its token_ids hidden, and prediction_positions int32 [B, P] (rising),
          prediction_ids int32 [B, P] (the true tokens), prediction_weights float32 [B, P] (0, with
          position and id 0, beyond a row's predictions).
        """
        token_ids = batch["token_ids"]
        candidates = self._candidates(token_ids, batch["padding_mask"])
        starts = self._unit_starts(token_ids, candidates)
        length = tf.shape(token_ids)[1]
        numbers = _random_bits(keys, tf.range(length), _CHOICE)
        chosen = _choose_units(candidates, starts, numbers=numbers, budgets=budgets)
        positions = tf.range(length)[tf.newaxis]
        ordered = tf.sort(tf.where(chosen, positions, length), axis=1)[:, :width]
        # A row may be shorter than the static number of predictions.
        ordered = tf.pad(
            ordered, [[0, 0], [0, width - tf.shape(ordered)[1]]], constant_values=_INT32_MAX
        )
        real = ordered < length
        ordered = tf.where(real, ordered, 0)
        prediction_ids = tf.where(real, tf.gather(token_ids, ordered, batch_dims=1), 0)
        return {
            **batch,
            "token_ids": tf.where(chosen, self._hidden(token_ids, keys), token_ids),
            "prediction_positions": ordered,
            "prediction_ids": prediction_ids,
            "prediction_weights": tf.cast(real, tf.float32),
        }

    def _candidates(self, token_ids: tf.Tensor, padding_mask: tf.Tensor) -> tf.Tensor:
        structural = (
            (token_ids == self.cls_id) | (token_ids == self.sep_id) | (token_ids == self.pad_id)
        )
        return (padding_mask > 0) & ~structural

    def _unit_starts(self, token_ids: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """bool [B, S]: the first piece of what is chosen together (a token or a word)."""
        if self.kind == "token":
            return candidates
        continues = tf.gather(tf.constant(self.continuation), token_ids)
        after_candidate = tf.pad(candidates[:, :-1], [[0, 0], [1, 0]])
        return candidates & ~(continues & after_candidate)

    def _hidden(self, token_ids: tf.Tensor, keys: tf.Tensor) -> tf.Tensor:
        """int32 [B, S]: what every token would become if it were chosen."""
        ordinary = np.setdiff1d(np.arange(len(self.continuation)), self.special_ids).astype(
            np.int32
        )
        positions = tf.range(tf.shape(token_ids)[1])
        kind = _uniform(_random_bits(keys, positions, _KIND))
        drawn = _uniform(_random_bits(keys, positions, _REPLACEMENT)) * float(len(ordinary))
        replacement = tf.gather(tf.constant(ordinary), tf.cast(drawn, tf.int32))
        kept_or_random = tf.where(kind < _MASK_SHARE + _RANDOM_SHARE, replacement, token_ids)
        return tf.where(kind < _MASK_SHARE, self.mask_id, kept_or_random)


_INT32_MAX = np.iinfo(np.int32).max


def _random_bits(keys: tf.Tensor, positions: tf.Tensor, stream: int) -> tf.Tensor:
    """uint64 [B, S]: SplitMix64 at the counters (stream, position) of each row's key."""
    counters = tf.cast(positions, tf.uint64) * 4 + (1 + stream)
    z = tf.bitcast(keys, tf.uint64)[:, tf.newaxis] + counters[tf.newaxis] * _uint64(_GOLDEN)
    z = _xor_shifted(z, 30) * _uint64(_MIX_1)
    z = _xor_shifted(z, 27) * _uint64(_MIX_2)
    return _xor_shifted(z, 31)


def _xor_shifted(z: tf.Tensor, bits: int) -> tf.Tensor:
    return tf.bitwise.bitwise_xor(z, tf.bitwise.right_shift(z, _uint64(bits)))


def _uint64(value: int) -> tf.Tensor:
    return tf.constant(value, tf.uint64)


def _uniform(bits: tf.Tensor) -> tf.Tensor:
    """float64 in [0, 1) with 53 bits."""
    return tf.cast(tf.bitwise.right_shift(bits, _uint64(11)), tf.float64) / 2.0**53


def _choose_units(
    candidates: tf.Tensor, starts: tf.Tensor, *, numbers: tf.Tensor, budgets: tf.Tensor
) -> tf.Tensor:
    """Draws units (runs of tokens from one start to the next) in random order while they fit.

    Args:
      candidates: bool [B, S].
      starts: bool [B, S], the first tokens of units; every candidate belongs to one.
      numbers: uint64 [B, S], random.
      budgets: int32 [B], tokens to choose at most.

    Returns:
      bool [B, S], the tokens of the chosen units.
    """
    # Units are numbered row by row; [B, S] holds one entry a unit and nothing beyond the last.
    length = tf.shape(candidates)[1]
    unit = tf.cumsum(tf.cast(starts, tf.int32), axis=1) - 1
    unit_lengths = _unit_lengths(unit, candidates, length)
    score = tf.where(starts, tf.cast(tf.bitwise.right_shift(numbers, _uint64(2)), tf.int64), _NEVER)
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
