"""Planned examples -> masked batches of rows, packed or not."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.masking import Masking
from keras_bert_suite.data.packed_rows import PackedRows
from keras_bert_suite.data.row_packing import most_in_a_row
from keras_bert_suite.data.rows import RowLayout
from keras_bert_suite.data.shard_groups import PlannedGroup

Runs = Sequence[tuple[PlannedGroup, np.ndarray]]
_PREFETCHED_BATCHES = 8


@dataclasses.dataclass(frozen=True, kw_only=True)
class RowBatches:
    """Makes the batches of rows of planned groups.

    Attributes:
      layout: of the examples.
      masking: of the examples, packed or not.
      sequence_length: tokens of the longest row.
      static_shapes: pad every batch to sequence_length and the most predictions (XLA, TPU).
      max_examples: examples that a packed row holds at most; None: rows are not packed.
    """

    layout: RowLayout
    masking: Masking
    sequence_length: int
    static_shapes: bool
    max_examples: int | None

    def dataset(self, generate: Callable[[], Iterator[Runs]], rows: int | None) -> tf.data.Dataset:
        """Gives the batches of the runs of `generate`.

        Args:
          generate: gives the rows of each batch.
          rows: how many there are in every batch; None: they vary.
        """
        unpacked = self.max_examples is None
        count = rows if unpacked else None
        width = self.sequence_length if self.static_shapes and unpacked else None
        matrix, column = tf.TensorSpec([count, width], tf.int32), tf.TensorSpec([count], tf.int32)
        signature = {"token_ids": matrix, "segment_ids": matrix, "padding_mask": matrix}
        signature |= {"budgets": column, "keys": tf.TensorSpec([count], tf.int64)}
        for key, dtype in self.layout.label_dtypes.items():
            signature[key] = tf.TensorSpec([count], dtype)
        if not unpacked:
            signature |= {"rows": column, "starts": column}
        finish = self._masked if unpacked else self._packer(rows)
        with tf.device("/cpu:0"):
            dataset = tf.data.Dataset.from_generator(
                lambda: map(self._examples, generate()), output_signature=signature
            )
            dataset = dataset.map(finish, num_parallel_calls=tf.data.AUTOTUNE, deterministic=True)
            return dataset.prefetch(_PREFETCHED_BATCHES)

    def _examples(self, runs: Runs) -> dict[str, np.ndarray]:
        batch = self.layout.batch([(group, group.examples(rows)) for group, rows in runs])
        lengths = batch.pop("lengths")
        num_specials = self.masking.count_specials(batch["token_ids"])
        batch["budgets"] = self.masking.num_predictions(lengths, num_specials=num_specials)
        if self.max_examples is not None:
            sizes = np.concatenate([group.sizes(rows) for group, rows in runs])
            batch["rows"] = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
            ends = np.cumsum(lengths)
            before_row = np.concatenate([[0], ends])[np.cumsum(sizes) - sizes]
            batch["starts"] = (ends - lengths - np.repeat(before_row, sizes)).astype(np.int32)
        return batch

    def _masked(self, examples: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        batch = dict(examples)
        keys, budgets = batch.pop("keys"), batch.pop("budgets")
        static = self.static_shapes and self.max_examples is None
        width = self.masking.max_predictions if static else tf.reduce_max(budgets)
        return self.masking(batch, keys=keys, budgets=budgets, width=width)

    def _packer(self, rows: int | None) -> Callable[[dict[str, tf.Tensor]], dict[str, tf.Tensor]]:
        pack = PackedRows(
            pad_id=self.layout.pad_id,
            labels=self.layout.label_keys,
            num_rows=rows,
            **(self._static_sizes() if self.static_shapes else {}),
        )

        def masked_and_packed(examples: dict[str, tf.Tensor]) -> dict[str, tf.Tensor]:
            batch = dict(examples)
            rows, starts = batch.pop("rows"), batch.pop("starts")
            masked = self._masked(batch)
            added = [key for key in masked if key not in batch]
            return pack(masked, rows=rows, starts=starts, prediction_keys=added)

        return masked_and_packed

    def _static_sizes(self) -> dict[str, int]:
        assert self.max_examples is not None
        lengths = np.arange(self.sequence_length + 1)
        budgets = self.masking.num_predictions(lengths, num_specials=2)
        budgets[:3] = 0  # [CLS], one token and [SEP] is the shortest example
        predictions = most_in_a_row(
            budgets, capacity=self.sequence_length, max_items=self.max_examples
        )
        return {
            "length": self.sequence_length,
            "examples": self.max_examples,
            "predictions": predictions,
        }
