"""Masked examples -> the rows that they share, in the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import tensorflow as tf

_TOKEN_KEYS = ("token_ids", "segment_ids", "padding_mask")


@dataclass(frozen=True, kw_only=True)
class PackedRows:
    """Puts examples into rows; each keeps its own special tokens, positions and predictions.

    Attributes:
      pad_id: the token id of padding.
      labels: batch key of a label -> key of its weight (1 where the examples bring none).
      num_rows, length, examples, predictions: the sizes of a batch, B, S, E and P; None takes what
        the batch needs.
    """

    pad_id: int
    labels: Mapping[str, str]
    num_rows: int | None = None
    length: int | None = None
    examples: int | None = None
    predictions: int | None = None

    def __call__(
        self,
        batch: Mapping[str, tf.Tensor],
        *,
        rows: tf.Tensor,
        starts: tf.Tensor,
        prediction_keys: Sequence[str],
    ) -> dict[str, tf.Tensor]:
        """Gives the packed batch.

        Args:
          batch: [examples, ...]: token_ids, segment_ids, padding_mask (padded at the end), labels
            and weights, and `prediction_keys`.
          rows: int32 [examples], the row of each example, never falling.
          starts: int32 [examples], the column in which it begins; behind the one before it.
          prediction_keys: keys [examples, predictions], "prediction_weights" among them; those
            that end in "_positions" are moved with their example.

        Returns:
          token_ids, segment_ids, padding_mask, position_ids (from 0 in each example) and row_ids
          (1, 2, ... in each row, 0 = padding) int32 [B, S]; prediction_keys [B, P], 0 beyond a
          row's predictions; with labels cls_positions int32 [B, E], where examples begin, and
          labels int32 and weights float32 [B, E], 0 beyond a row's examples.
        """
        num_rows = rows[-1] + 1 if self.num_rows is None else self.num_rows
        lengths = tf.reduce_sum(batch["padding_mask"], 1)
        numbers = _numbers(rows, num_rows)
        packed = self._tokens(
            batch, rows, starts, numbers, num_rows, tf.reduce_max(starts + lengths)
        )
        packed |= self._predictions(
            {key: batch[key] for key in prediction_keys}, rows, starts, num_rows
        )
        if self.labels:
            packed |= self._labels(batch, rows, starts, numbers, num_rows)
        return packed

    def _tokens(self, batch, rows, starts, numbers, num_rows, longest):
        example, column = _places(batch["padding_mask"] > 0)
        length = longest if self.length is None else self.length
        grid = _Grid(
            tf.gather(rows, example), tf.gather(starts, example) + column, num_rows, length
        )
        mask = grid(tf.ones_like(column))
        ids, segments = (
            grid(tf.boolean_mask(batch[key], batch["padding_mask"] > 0))
            for key in ("token_ids", "segment_ids")
        )
        return {
            "token_ids": tf.where(mask > 0, ids, self.pad_id),
            "segment_ids": segments,
            "padding_mask": mask,
            "position_ids": grid(column),
            "row_ids": grid(tf.gather(numbers, example) + 1),
        }

    def _predictions(self, predictions, rows, starts, num_rows):
        real = predictions["prediction_weights"] > 0
        example, _ = _places(real)
        row = tf.gather(rows, example)
        numbers = _numbers(row, num_rows)
        width = self.predictions or tf.reduce_max(tf.concat([numbers, [0]], 0)) + 1
        grid = _Grid(row, numbers, num_rows, width)
        packed = {}
        for key, values in predictions.items():
            values = tf.boolean_mask(values, real)
            if key.endswith("_positions"):
                values += tf.gather(starts, example)
            packed[key] = grid(values)
        return packed

    def _labels(self, batch, rows, starts, numbers, num_rows):
        grid = _Grid(rows, numbers, num_rows, self.examples or tf.reduce_max(numbers) + 1)
        packed = {"cls_positions": grid(starts)}
        for label, weight in self.labels.items():
            packed[label] = grid(batch[label])
            packed[weight] = grid(batch.get(weight, tf.ones(tf.shape(rows))))
        return packed


class _Grid:
    """Scatters values into [num_rows, width]; 0 where there is none."""

    def __init__(self, rows, columns, num_rows, width):
        self._cells = (rows * width + columns)[:, tf.newaxis]
        self._shape = (num_rows, width)

    def __call__(self, values):
        cells = tf.scatter_nd(self._cells, values, [self._shape[0] * self._shape[1]])
        return tf.reshape(cells, self._shape)


def _places(mask):
    """The rows and columns, int32, at which a mask [n, m] is True."""
    return tf.unstack(tf.cast(tf.where(mask), tf.int32), axis=1)


def _numbers(rows, num_rows):
    """0, 1, ... in each row, of rows that never fall: int32, like `rows`."""
    firsts = tf.searchsorted(rows, tf.range(num_rows))
    return tf.range(tf.size(rows)) - tf.gather(firsts, rows)
