"""Batches of rows of like length, padded to their own longest row and never to a fixed length."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.source import replica_batch_size


@dataclasses.dataclass(frozen=True, kw_only=True)
class RaggedFeatures:
    """Rows of different lengths in memory, without padding.

    Attributes:
      tokens: batch key -> int32 [tokens of all rows]: one value a token, row after row.
      lengths: int32 [rows], the tokens of each row, at least 1.
      rows: batch key -> array [rows, ...]: one value a row (label ids, for instance);
        "example_weights", float32, where rows do not count alike.
      pad_values: batch key of `tokens` -> value in the padding, 0 where it is not named.
      num_truncated: rows that were cut to the longest length allowed.
      example_index: int32 [rows], ascending: the example that each row is a part of, where long
        examples become several rows; None where row i is example i.
      keep_together: whether the rows of an example are learnt in one batch, which then has
        "group_ids", int32 [rows], 0, 0, ..., 1, 1, ...: the example of each row in the batch.

    Raises:
      ValueError: no rows, a row without tokens, or arrays whose sizes do not agree.
    """

    tokens: Mapping[str, np.ndarray]
    lengths: np.ndarray
    rows: Mapping[str, np.ndarray] = dataclasses.field(default_factory=dict)
    pad_values: Mapping[str, int] = dataclasses.field(default_factory=dict)
    num_truncated: int = 0
    example_index: np.ndarray | None = None
    keep_together: bool = False

    def __post_init__(self):
        if not len(self.lengths) or self.lengths.min() < 1:
            raise ValueError(
                "Features need at least one row and one token in each row. "
                f"Received: lengths {self.lengths}."
            )
        total = int(self.lengths.sum())
        wrong = {k: v.shape for k, v in self.tokens.items() if v.shape != (total,)}
        wrong |= {k: v.shape for k, v in self.rows.items() if len(v) != len(self)}
        if wrong:
            raise ValueError(
                f"{len(self)} rows with {total} tokens need arrays [{total}] in `tokens` and "
                f"[{len(self)}, ...] in `rows`. Received: {wrong}."
            )

    def __len__(self) -> int:
        return len(self.lengths)

    @functools.cached_property
    def starts(self) -> np.ndarray:
        """int64 [rows]: where each row begins in the arrays of `tokens`."""
        return np.cumsum(self.lengths, dtype=np.int64) - self.lengths

    @functools.cached_property
    def units(self) -> np.ndarray:
        """int64 [units + 1]: where the rows begin that are learnt together; the last is the end."""
        if not self.keep_together or self.example_index is None:
            return np.arange(len(self) + 1)
        begins = np.flatnonzero(np.diff(self.example_index, prepend=-1))
        return np.append(begins, len(self))

    @functools.cached_property
    def unit_lengths(self) -> np.ndarray:
        """int32 [units]: the tokens of the longest row of each."""
        return np.maximum.reduceat(self.lengths, self.units[:-1])

    @functools.cached_property
    def fingerprint(self) -> str:
        """A hash of all values: features that differ anywhere differ here."""
        digest = hashlib.blake2b(np.ascontiguousarray(self.lengths).tobytes(), digest_size=8)
        for key, values in [*sorted(self.tokens.items()), *sorted(self.rows.items())]:
            digest.update(key.encode())
            digest.update(np.ascontiguousarray(values).tobytes())
        return digest.hexdigest()

    def batch(self, indices: np.ndarray, *, length: int | None = None) -> dict[str, np.ndarray]:
        """The rows `indices` side by side.

        Args:
          indices: int [batch], rows in any order.
          length: positions of the batch, at least those of its longest row (the default).

        Returns:
          The keys of `tokens` and "padding_mask" (1 = real token), int32 [batch, length], and the
          keys of `rows`, [batch, ...].
        """
        lengths = self.lengths[indices]
        columns = np.arange(lengths.max() if length is None else length)
        real = columns < lengths[:, None]
        places = np.where(real, self.starts[indices][:, None] + columns, 0)
        batch = {"padding_mask": real.astype(np.int32)}
        for key, values in self.tokens.items():
            padding = np.int32(self.pad_values.get(key, 0))
            batch[key] = np.where(real, values[places], padding).astype(np.int32)
        return batch | {key: values[indices] for key, values in self.rows.items()}


class BucketedSource:
    """A BatchSource over features in memory.

    Every epoch takes each row once, in an order that depends on (seed, epoch) alone: a random
    permutation is cut into windows of `window_batches` batches, each window is sorted by length and
    cut into batches, and the batches are shuffled. Rows of a batch are thus of like length, and
    batches of different lengths alternate. The rows that do not fill a batch come last in the
    epoch; their batch is completed by its shortest row with "example_weights" 0, so that sums over
    the weights are exact on any number of replicas.

    Args:
      features: the rows.
      global_batch_size: rows of one optimizer step over all replicas.
      seed: of the order.
      window_batches: more sorts better, fewer mixes better.
      padded_lengths: the only lengths to pad to, ascending, for devices that compile anew for each
        shape. By default every batch has the length of its longest row.

    Raises:
      ValueError: a count below 1, or no padded length for the longest row.
    """

    def __init__(
        self,
        features: RaggedFeatures,
        *,
        global_batch_size: int,
        seed: int,
        window_batches: int = 50,
        padded_lengths: Sequence[int] | None = None,
    ):
        if global_batch_size < 1 or window_batches < 1:
            raise ValueError(
                "global_batch_size and window_batches must be at least 1. Received: "
                f"global_batch_size={global_batch_size}, window_batches={window_batches}."
            )
        longest = int(features.lengths.max())
        if padded_lengths is not None and (not padded_lengths or max(padded_lengths) < longest):
            raise ValueError(
                f"padded_lengths must reach the longest row, {longest} tokens. "
                f"Received: {list(padded_lengths)}."
            )
        self.features = features
        self.global_batch_size = global_batch_size
        self.seed = seed
        self.window_batches = window_batches
        self.padded_lengths = padded_lengths and tuple(sorted(padded_lengths))

    @property
    def steps_per_epoch(self) -> int:
        """Optimizer steps in which each row comes once."""
        return -(-len(self.features.unit_lengths) // self.global_batch_size)

    def state(self, step: int) -> dict[str, Any]:
        """The position of `step`; the fingerprint tells another training file."""
        return {"step": step, "rows": len(self.features), "fingerprint": self.features.fingerprint}

    def batches(
        self,
        step: int,
        *,
        state: Mapping[str, Any] | None = None,
        pipeline: int = 0,
        num_pipelines: int = 1,
        replicas_per_pipeline: int = 1,
    ) -> tf.data.Dataset:
        """Gives the batches from optimizer step `step` on, without end; see BatchSource.

        Every batch has the keys of `RaggedFeatures.batch` and "example_weights", float32 [batch].
        Each replica's part is padded to its own longest row.
        """
        size = replica_batch_size(
            self.global_batch_size,
            pipeline=pipeline,
            num_pipelines=num_pipelines,
            replicas_per_pipeline=replicas_per_pipeline,
        )
        if state is not None and dict(state) != self.state(step):
            raise ValueError(
                "The training state belongs to other training rows than those read now. "
                f"Received: {dict(state)} for {self.state(step)}. "
                "Remedy: give the file the run began with, or another output_dir."
            )
        first = pipeline * replicas_per_pipeline

        def generate() -> Iterator[dict[str, np.ndarray]]:
            for indices, weights in self._steps(step):
                for replica in range(first, first + replicas_per_pipeline):
                    part = slice(replica * size, (replica + 1) * size)
                    yield self._replica_batch(indices[part], weights[part])

        together = self.features.keep_together
        signature = _signature(self.features, rows=None if together else size)
        signature["example_weights"] = tf.TensorSpec([None if together else size], tf.float32)
        if together:
            signature["group_ids"] = tf.TensorSpec([None], tf.int32)
        dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
        return dataset.prefetch(2 * replicas_per_pipeline)

    def epoch_plan(self, epoch: int) -> np.ndarray:
        """The rows of each step of an epoch: int64 [steps, global batch], -1 where rows run out."""
        rng = np.random.default_rng([self.seed, epoch])
        order, size = rng.permutation(len(self.features.unit_lengths)), self.global_batch_size
        full = len(order) // size * size
        window = self.window_batches * size
        windows = [
            self._sorted(order[start : min(start + window, full)])
            for start in range(0, full, window)
        ]
        plan = np.concatenate([*windows, np.empty(0, np.int64)]).astype(np.int64).reshape(-1, size)
        plan = rng.permutation(plan)
        rest = self._sorted(order[full:])
        if len(rest):
            last = np.full([1, size], -1, np.int64)
            last[0, : len(rest)] = rest
            plan = np.concatenate([plan, last])
        return plan

    def _sorted(self, indices: np.ndarray) -> np.ndarray:
        return indices[np.argsort(self.features.unit_lengths[indices], kind="stable")]

    def _steps(self, step: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """The rows of each step from `step` on and their weights."""
        epoch, offset = divmod(step, self.steps_per_epoch)
        while True:
            for indices in self.epoch_plan(epoch)[offset:]:
                # Sorted rows: the first is the shortest and costs least to compute in vain.
                yield np.where(indices < 0, indices[0], indices), (indices >= 0).astype(np.float32)
            epoch, offset = epoch + 1, 0

    def _replica_batch(self, indices: np.ndarray, weights: np.ndarray) -> dict[str, np.ndarray]:
        groups: dict[str, np.ndarray] = {}
        if self.features.keep_together:
            indices, groups = self._rows_of_units(indices)
            weights = weights[groups["group_ids"]]
        length = None
        if self.padded_lengths is not None:
            longest = self.features.lengths[indices].max()
            length = min(allowed for allowed in self.padded_lengths if allowed >= longest)
        batch = self.features.batch(indices, length=length) | groups
        return batch | {"example_weights": weights * batch.get("example_weights", np.float32(1))}

    def _rows_of_units(self, units: np.ndarray) -> tuple[np.ndarray, dict[str, np.ndarray]]:
        begins, ends = self.features.units[units], self.features.units[units + 1]
        rows = [np.arange(begin, end) for begin, end in zip(begins, ends, strict=True)]
        groups = np.repeat(np.arange(len(units)), ends - begins).astype(np.int32)
        return np.concatenate(rows), {"group_ids": groups}


def evaluation_batches(
    features: RaggedFeatures, *, batch_size: int
) -> tuple[tf.data.Dataset, np.ndarray]:
    """Gives all rows once, sorted by length, with the order that brings them back.

    The longest come first, so that a batch too large for the memory shows at once.

    Args:
      features: the rows.
      batch_size: rows of a batch; the last may have fewer.

    Returns:
      (dataset, places): batches as `RaggedFeatures.batch` gives them; int64 [rows], for each row
      its place among the rows of the dataset, so that `np.concatenate(answers)[places]` are the
      answers in the features' order.
    """
    order = np.argsort(-features.lengths, kind="stable")

    def generate() -> Iterator[dict[str, np.ndarray]]:
        for start in range(0, len(order), batch_size):
            yield features.batch(order[start : start + batch_size])

    signature = _signature(features, rows=None)
    dataset = tf.data.Dataset.from_generator(generate, output_signature=signature)
    places = np.empty_like(order)
    places[order] = np.arange(len(order))
    return dataset.prefetch(2), places


def _signature(features: RaggedFeatures, *, rows: int | None) -> dict[str, tf.TensorSpec]:
    keys = [*features.tokens, "padding_mask"]
    signature = {key: tf.TensorSpec([rows, None], tf.int32) for key in keys}
    return signature | {
        key: tf.TensorSpec([rows, *values.shape[1:]], values.dtype)
        for key, values in features.rows.items()
    }
