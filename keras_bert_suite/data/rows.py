"""Example plans -> rows of token ids, gathered for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_bert_suite.data.shard_groups import PlannedGroup


class RowLayout:
    """Lays out rows [CLS] A [SEP] or [CLS] A [SEP] B [SEP], padded to the longest.

    Args:
      cls_id, sep_id, pad_id: the special tokens.
      pairs: rows have two segments and a next-sentence label.
      static_length: pad to this many tokens; None pads to the batch's longest row.
    """

    def __init__(
        self, *, cls_id: int, sep_id: int, pad_id: int, pairs: bool, static_length: int | None
    ):
        self._cls_id = cls_id
        self._sep_id = sep_id
        self._pad_id = pad_id
        self._pairs = pairs
        self._static_length = static_length

    def lengths(self, group: PlannedGroup, examples: np.ndarray) -> np.ndarray:
        """Gives the tokens of rows, special tokens counted: int64 [rows]."""
        plan = group.plan
        a = plan.a_ends[examples] - plan.a_starts[examples]
        b = plan.b_ends[examples] - plan.b_starts[examples]
        return a + b + (3 if self._pairs else 2)

    def batch(self, runs: Sequence[tuple[PlannedGroup, np.ndarray]]) -> dict[str, np.ndarray]:
        """Gives the rows of examples that may lie in several groups.

        Returns:
          token_ids, segment_ids, padding_mask int32 [B, S]; lengths int32 [B]; keys int64 [B];
          with pairs also next_sentence_labels int32 [B].
        """
        lengths = np.concatenate([self.lengths(group, examples) for group, examples in runs])
        width = self._static_length or int(lengths.max())
        parts = [self._rows(group, examples, width) for group, examples in runs]
        batch = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        batch["lengths"] = lengths.astype(np.int32)
        batch["keys"] = np.concatenate([group.keys[examples] for group, examples in runs])
        if self._pairs:
            batch["next_sentence_labels"] = np.concatenate(
                [np.asarray(group.plan.labels)[examples] for group, examples in runs]
            )
        return batch

    def _rows(self, group: PlannedGroup, examples: np.ndarray, width: int) -> dict[str, np.ndarray]:
        plan, tokens = group.plan, group.records.tokens
        columns = np.arange(width)[np.newaxis]
        a_starts = plan.a_starts[examples][:, np.newaxis]
        a_lengths = plan.a_ends[examples][:, np.newaxis] - a_starts
        first_sep = 1 + a_lengths
        sources = a_starts + columns - 1
        ends = first_sep + 1
        separators = columns == first_sep
        if self._pairs:
            b_starts = plan.b_starts[examples][:, np.newaxis]
            b_lengths = plan.b_ends[examples][:, np.newaxis] - b_starts
            sources = np.where(columns > first_sep, b_starts + columns - first_sep - 1, sources)
            ends = first_sep + 2 + b_lengths
            separators |= columns == ends - 1
        real = columns < ends
        text = real & ~separators & (columns > 0)
        token_ids = np.where(text, tokens[np.where(text, sources, 0)], self._pad_id)
        token_ids[separators] = self._sep_id
        token_ids[:, 0] = self._cls_id
        return {
            "token_ids": token_ids.astype(np.int32),
            "segment_ids": (real & (columns > first_sep)).astype(np.int32),
            "padding_mask": real.astype(np.int32),
        }
