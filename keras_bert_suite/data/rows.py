"""Example plans -> rows of token ids, gathered for a whole batch at once."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from keras_bert_suite.data.example_plan import NOT_ASKED
from keras_bert_suite.data.shard_groups import PlannedGroup

# Batch keys of the objectives that ask something of a whole example: labels and weights.
LABEL_KEYS = {
    "nsp": ("next_sentence_labels", "next_sentence_weights"),
    "sop": ("sentence_order_labels", "sentence_order_weights"),
}


class RowLayout:
    """Lays out rows [CLS] A [SEP] or [CLS] A [SEP] B [SEP], padded to the longest.

    Args:
      cls_id, sep_id, pad_id: the special tokens.
      objectives: those whose labels the batches hold; others than those of LABEL_KEYS are not read.
      static_length: pad to this many tokens; None pads to the batch's longest row.
    """

    def __init__(
        self,
        *,
        cls_id: int,
        sep_id: int,
        pad_id: int,
        objectives: Sequence[str],
        static_length: int | None,
    ):
        self._cls_id = cls_id
        self._sep_id = sep_id
        self.pad_id = pad_id
        self._objectives = [name for name in LABEL_KEYS if name in objectives]
        self._static_length = static_length

    @property
    def label_keys(self) -> dict[str, str]:
        """Batch key of labels -> key of their weights."""
        return dict(LABEL_KEYS[objective] for objective in self._objectives)

    @property
    def label_dtypes(self) -> dict[str, type]:
        """Batch key of a label or weight -> dtype. "nsp" alone asks every row: no weights."""
        dtypes: dict[str, type] = {}
        for objective in self._objectives:
            labels, weights = LABEL_KEYS[objective]
            dtypes[labels] = np.int32
            if self._objectives != ["nsp"]:
                dtypes[weights] = np.float32
        return dtypes

    def batch(self, runs: Sequence[tuple[PlannedGroup, np.ndarray]]) -> dict[str, np.ndarray]:
        """Gives the rows of examples that may lie in several groups.

        Returns:
          token_ids, segment_ids, padding_mask int32 [B, S]; lengths int32 [B]; keys int64 [B]; for
          each objective its labels int32 [B] and, where a row may ask nothing, weights float32 [B]
          (0 for those rows, with label 0).
        """
        lengths = np.concatenate([group.plan.lengths[examples] for group, examples in runs])
        width = self._static_length or int(lengths.max())
        parts = [self._rows(group, examples, width) for group, examples in runs]
        batch = {key: np.concatenate([part[key] for part in parts]) for key in parts[0]}
        batch["lengths"] = lengths.astype(np.int32)
        batch["keys"] = np.concatenate([group.keys[examples] for group, examples in runs])
        for objective in self._objectives:
            labels = np.concatenate(
                [group.plan.labels[objective][examples] for group, examples in runs]
            )
            label_key, weight_key = LABEL_KEYS[objective]
            batch[label_key] = np.maximum(labels, 0)
            if weight_key in self.label_dtypes:
                batch[weight_key] = (labels != NOT_ASKED).astype(np.float32)
        return batch

    def _rows(self, group: PlannedGroup, examples: np.ndarray, width: int) -> dict[str, np.ndarray]:
        plan = group.plan
        columns = np.arange(width)[np.newaxis]
        a_starts = plan.a_starts[examples][:, np.newaxis]
        first_sep = 1 + plan.a_ends[examples][:, np.newaxis] - a_starts
        b_starts = plan.b_starts[examples][:, np.newaxis]
        # [CLS] A [SEP] and, if there is a B, B [SEP]
        ends = plan.lengths[examples][:, np.newaxis]
        sources = np.where(
            columns > first_sep, b_starts + columns - first_sep - 1, a_starts + columns - 1
        )
        separators = (columns == first_sep) | (columns == ends - 1)
        real = columns < ends
        text = real & ~separators & (columns > 0)
        token_ids = np.where(text, plan.tokens[np.where(text, sources, 0)], self.pad_id)
        token_ids[separators] = self._sep_id
        token_ids[:, 0] = self._cls_id
        return {
            "token_ids": token_ids.astype(np.int32),
            "segment_ids": (real & (columns > first_sep)).astype(np.int32),
            "padding_mask": real.astype(np.int32),
        }
