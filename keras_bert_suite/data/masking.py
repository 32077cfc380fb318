"""Dynamic masking in the graph: a pure function of each row and its key (see row_randomness)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.masking_rules import MaskingRules
from keras_bert_suite.data.row_randomness import positive, random_bits, uniform
from keras_bert_suite.data.span_choice import choose_spans, runs, span_lengths
from keras_bert_suite.data.unit_choice import choose_units

_CHOICE, _KIND, _REPLACEMENT, _LENGTH = range(4)


@dataclass(frozen=True, kw_only=True, eq=False)
class Masking:
    """Chooses tokens to predict and hides them; never [CLS], [SEP] or [PAD].

    Each kind fills a row's budget (`MaskingRules.budgets`, at most max_predictions) as far as the
    row has tokens to choose from:

    "token": tokens, uniformly without replacement.

    "whole_word": words (a first piece with those that continue it, within one segment) in random
    order; one that does not fit in what is left of the budget is skipped, so a short row of long
    words may get no prediction.

    "span": runs of words. The first is the word of a token drawn uniformly, drawn anew if it is
    chosen already; the number of words is geometric with `span_p` over 1..`max_span_length`,
    renormalised. The last span is cut where the budget is used up. Spans end before special tokens.

    What is chosen is replaced by [MASK] with probability 0.8, by random tokens that are not special
    with 0.1, and left with 0.1: one draw for each token; for "span" one for each run of tokens that
    adjoin, so that spans that overlap or touch count as one, and both its neighbours are observed.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.1; whole words as in
    google-research/bert, create_pretraining_data.py; spans: Joshi et al. 2019, arXiv:1907.10529,
    section 3.1. Deviation: the originals draw the random token from the whole vocabulary, special
    tokens included.
    """

    rules: MaskingRules
    max_predictions: int
    continuation: np.ndarray
    special_ids: tuple[int, ...]
    pad_id: int
    cls_id: int
    sep_id: int
    mask_id: int

    def __post_init__(self) -> None:
        if self.max_predictions < 1:
            raise ValueError(
                f"max_predictions must be at least 1. Received: {self.max_predictions}."
            )

    @classmethod
    def for_tokenizer(cls, tokenizer: Any, *, rules: MaskingRules, max_predictions: int) -> Masking:
        """Makes the masking for a tokenizer's vocabulary."""
        return cls(
            rules=rules,
            max_predictions=max_predictions,
            continuation=np.asarray(tokenizer.continuation, np.bool_),
            special_ids=tuple(int(i) for i in tokenizer.special_ids),
            pad_id=int(tokenizer.pad_id),
            cls_id=int(tokenizer.cls_id),
            sep_id=int(tokenizer.sep_id),
            mask_id=int(tokenizer.mask_id),
        )

    def num_predictions(self, lengths: Any, *, num_specials: Any) -> np.ndarray:
        """Gives the budget of rows with these numbers of tokens: int32, the shape of `lengths`.

        Args:
          lengths: int, tokens of the rows, special tokens counted.
          num_specials: int, how many of them are [CLS] and [SEP]; one for all, or one a row.
        """
        return np.minimum(
            self.max_predictions, self.rules.budgets(lengths, num_specials=num_specials)
        )

    def count_specials(self, token_ids: np.ndarray) -> np.ndarray:
        """Counts [CLS] and [SEP] in rows: int64 [B], of int [B, S]."""
        return ((token_ids == self.cls_id) | (token_ids == self.sep_id)).sum(1)

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
          prediction_ids int32 [B, P] (the true tokens), prediction_weights float32 [B, P]; beyond a
          row's predictions all are 0. With "span" also, of the run s..e of masked tokens that a
          prediction i belongs to: span_left_positions (s - 1) and span_right_positions (e + 1)
          int32 [B, P], both observed; span_distances int32 [B, P] (i - s + 1); span_weights float32
          [B, P], 0 beyond the predictions and where a neighbour is a special token or outside the
          row: there the boundaries are no text to tell the span from.
        """
        token_ids = batch["token_ids"]
        candidates = self._candidates(token_ids, batch["padding_mask"])
        chosen = self._chosen(token_ids, candidates, keys=keys, budgets=budgets)
        length = tf.shape(token_ids)[1]
        rank = tf.cumsum(tf.cast(chosen, tf.int32), axis=1)
        wanted = tf.tile(tf.range(1, width + 1)[tf.newaxis], [tf.shape(token_ids)[0], 1])
        positions = tf.searchsorted(rank, wanted)
        real = positions < length
        positions = tf.where(real, positions, 0)
        prediction_ids = tf.where(real, tf.gather(token_ids, positions, batch_dims=1), 0)
        first, last = positions, positions
        spans = {}
        if self.rules.kind == "span":
            first, last = runs(positions, real)
            spans = _span_keys(positions, real, first=first, last=last, candidates=candidates)
        hidden = self._hidden(prediction_ids, keys, positions=positions, draws=first)
        hidden = tf.gather(hidden, tf.maximum(rank - 1, 0), batch_dims=1)
        return {
            **batch,
            "token_ids": tf.where(chosen, hidden, token_ids),
            "prediction_positions": positions,
            "prediction_ids": prediction_ids,
            "prediction_weights": tf.cast(real, tf.float32),
            **spans,
        }

    def _candidates(self, token_ids: tf.Tensor, padding_mask: tf.Tensor) -> tf.Tensor:
        structural = (
            (token_ids == self.cls_id) | (token_ids == self.sep_id) | (token_ids == self.pad_id)
        )
        return (padding_mask > 0) & ~structural

    def _chosen(
        self, token_ids: tf.Tensor, candidates: tf.Tensor, *, keys: tf.Tensor, budgets: tf.Tensor
    ) -> tf.Tensor:
        """bool [B, S]: the tokens to predict."""
        places = tf.range(tf.shape(token_ids)[1])
        numbers = positive(random_bits(keys, places, _CHOICE))
        starts = self._unit_starts(token_ids, candidates)
        if self.rules.kind != "span":
            return choose_units(candidates, starts, numbers=numbers, budgets=budgets)
        bits = random_bits(keys, places, _LENGTH)
        lengths = span_lengths(bits, p=self.rules.span_p, longest=self.rules.max_span_length)
        return choose_spans(candidates, starts, numbers=numbers, lengths=lengths, budgets=budgets)

    def _unit_starts(self, token_ids: tf.Tensor, candidates: tf.Tensor) -> tf.Tensor:
        """bool [B, S]: the first piece of what is chosen together (a token or a word)."""
        if self.rules.kind == "token":
            return candidates
        continues = tf.gather(tf.constant(self.continuation), token_ids)
        after_candidate = tf.pad(candidates[:, :-1], [[0, 0], [1, 0]])
        return candidates & ~(continues & after_candidate)

    def _hidden(
        self, ids: tf.Tensor, keys: tf.Tensor, *, positions: tf.Tensor, draws: tf.Tensor
    ) -> tf.Tensor:
        """int32 [B, P]: what stands in the place of the predicted ids.

        `draws` are the positions that [MASK], a random token or the true one is drawn for.
        """
        ordinary = np.setdiff1d(np.arange(len(self.continuation)), self.special_ids).astype(
            np.int32
        )
        kind = uniform(random_bits(keys, draws, _KIND))
        drawn = uniform(random_bits(keys, positions, _REPLACEMENT)) * float(len(ordinary))
        replacement = tf.gather(tf.constant(ordinary), tf.cast(drawn, tf.int32))
        masked = self.rules.mask_token_share
        changed = masked + self.rules.random_token_share
        return tf.where(kind < masked, self.mask_id, tf.where(kind < changed, replacement, ids))


def _span_keys(
    positions: tf.Tensor,
    real: tf.Tensor,
    *,
    first: tf.Tensor,
    last: tf.Tensor,
    candidates: tf.Tensor,
) -> dict[str, tf.Tensor]:
    """The batch keys of the span boundary objective; see `Masking.__call__`."""
    length = tf.shape(candidates)[1]
    left, right = first - 1, last + 1
    inside = (left >= 0) & (right < length)
    left, right = tf.maximum(left, 0), tf.minimum(right, length - 1)
    text = tf.gather(candidates, left, batch_dims=1) & tf.gather(candidates, right, batch_dims=1)
    return {
        "span_left_positions": tf.where(real, left, 0),
        "span_right_positions": tf.where(real, right, 0),
        "span_distances": tf.where(real, positions - first + 1, 0),
        "span_weights": tf.cast(real & inside & text, tf.float32),
    }
