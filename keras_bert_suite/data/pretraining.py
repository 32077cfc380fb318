"""Token records -> masked pre-training batches, resumable at every step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.documents import expand_files
from keras_bert_suite.data.masking import Masking
from keras_bert_suite.data.masking_rules import MaskingRules
from keras_bert_suite.data.planning import check_objectives, planner, rows_for
from keras_bert_suite.data.records import check_same_vocabulary, count_tokens
from keras_bert_suite.data.row_batches import RowBatches, Runs
from keras_bert_suite.data.row_packing import pack_in_order
from keras_bert_suite.data.rows import RowLayout
from keras_bert_suite.data.shard_groups import GROUP_BYTES, Position, ShardGroups
from keras_bert_suite.data.source import replica_batch_size

# Below this a pair of segments has no room for more than a token or two.
MIN_SEQUENCE_LENGTH = 8
# By default a packed row has places for as many examples as if all were as short as this.
_TOKENS_OF_A_SHORT_EXAMPLE = 8
# Anything fixed, so that evaluation data are planned and masked alike for every training seed.
_EVALUATION_SEED = 20181011


class PretrainingSource:
    """Batches for masked language modelling, next sentences and sentence order (a BatchSource).

    Groups of shards are read into memory, one at a time; an epoch's examples are planned anew, and
    permuted, from (seed, epoch, group); masks are drawn from (seed, epoch, group, example). Batches
    are therefore a pure function of the seed and the step. Rows are padded to the longest row of
    their replica's batch, predictions to the largest number in it.

    Batch keys: token_ids, segment_ids, padding_mask int32 [B, S]; prediction_positions,
    prediction_ids int32 [B, P]; prediction_weights float32 [B, P]; with "nsp" next_sentence_labels
    int32 [B] (1 = the second segment is from another document); with "sop" sentence_order_labels
    int32 [B] (1 = the two segments have changed places) and sentence_order_weights float32 [B] (0 =
    the row does not ask this); with both also next_sentence_weights, and each pair asks one of the
    two. With packing, several examples share a row: also position_ids and row_ids int32 [B, S] (see
    Encoder), and labels and weights are [B, E], of the examples that begin at cls_positions int32
    [B, E]. Plans and masks are the same with packing and without.

    Args:
      files_glob: TFRecord shards from bin/make_pretraining_data.py.
      tokenizer: the tokenizer that made them.
      sequence_length: tokens of the longest row, special tokens counted.
      global_batch_size: rows of a step over all replicas.
      seed: fixes plans, order and masks.
      objectives: "mlm" and any of "nsp" and "sop".
      rows: "segment_pairs", "doc_sentences" (whole sentences of one document) or "full_sentences"
        (across documents); by default pairs for "nsp" and "sop", else doc_sentences.
      packing: fill rows with several examples (see data/row_packing.py); the rows of a step are
        then packed ones.
      max_examples_per_row: that a packed row holds; by default sequence_length / 8.
      masking: its rules, or a kind with the default rules: "token", "whole_word" or "span", which
        adds the batch keys of `Masking`.
      masking_passes: None masks every epoch anew (dynamic); N repeats the rows and masks of the
        first N epochs, in another order (static: RoBERTa's baseline is 10, BERT's data 1 or more).
      max_predictions: bound of predictions a row; by default ceil(fraction sequence_length).
      short_sequence_fraction: probability that a row is planned short (see data/pairs.py).
      static_shapes: pad every batch to sequence_length and max_predictions (XLA, TPU).
      group_bytes: size on disk up to which shards are held in memory together.

    Raises:
      ValueError: no file, another tokenizer's records, an unknown or impossible option; and, from
        the methods, damaged records or a single document where pairs are asked for. What is only
        found in a later group arrives as tf.errors.InvalidArgumentError from the dataset, with the
        same message in it.
    """

    def __init__(
        self,
        files_glob: str,
        *,
        tokenizer: Any,
        sequence_length: int,
        global_batch_size: int,
        seed: int,
        objectives: Sequence[str] = ("mlm", "nsp"),
        rows: str | None = None,
        packing: bool = False,
        max_examples_per_row: int | None = None,
        masking: str | MaskingRules = "token",
        masking_passes: int | None = None,
        max_predictions: int | None = None,
        short_sequence_fraction: float = 0.1,
        static_shapes: bool = False,
        group_bytes: int = GROUP_BYTES,
    ):
        self._check(sequence_length, global_batch_size, objectives, short_sequence_fraction)
        self.files = expand_files(files_glob)
        check_same_vocabulary(self.files, tokenizer)
        self.global_batch_size = global_batch_size
        self.sequence_length = sequence_length
        self.objectives = tuple(objectives)
        rules = MaskingRules(kind=masking) if isinstance(masking, str) else masking
        if "sbo" in self.objectives and rules.kind != "span":
            raise ValueError(
                "The objective sbo needs masking=span, whose boundaries it predicts from. "
                f"Received: masking={rules.kind}."
            )
        if max_predictions is None:
            max_predictions = rules.most_predictions(sequence_length)
        self.max_predictions = max_predictions
        self.rows = rows_for(rows, self.objectives)
        self._vocab_size = int(tokenizer.vocab_size)
        if max_examples_per_row is None:
            max_examples_per_row = max(1, sequence_length // _TOKENS_OF_A_SHORT_EXAMPLE)
        self.packing = packing
        self._max_examples = max_examples_per_row
        self._batches = RowBatches(
            layout=RowLayout(
                cls_id=tokenizer.cls_id,
                sep_id=tokenizer.sep_id,
                pad_id=tokenizer.pad_id,
                objectives=self.objectives,
                static_length=sequence_length if static_shapes and not packing else None,
            ),
            masking=Masking.for_tokenizer(tokenizer, rules=rules, max_predictions=max_predictions),
            sequence_length=sequence_length,
            static_shapes=static_shapes,
            max_examples=max_examples_per_row if packing else None,
        )
        self._make_plan = planner(
            self.rows,
            objectives=self.objectives,
            sequence_length=sequence_length,
            short_fraction=short_sequence_fraction,
            sep_id=tokenizer.sep_id,
        )
        self._group_bytes = group_bytes
        self._groups = self._make_groups(seed=seed, shuffle=True, passes=masking_passes)
        self._anchors = {0: Position()}

    def batches(
        self,
        step: int,
        *,
        state: Mapping[str, Any] | None = None,
        pipeline: int = 0,
        num_pipelines: int = 1,
        replicas_per_pipeline: int = 1,
    ) -> tf.data.Dataset:
        """Gives the per-replica batches from `step` on (see `source.BatchSource.batches`)."""
        rows = replica_batch_size(
            self.global_batch_size,
            pipeline=pipeline,
            num_pipelines=num_pipelines,
            replicas_per_pipeline=replicas_per_pipeline,
        )
        if state is not None:
            self._anchors[step] = self._checked_position(state)
        position = self._position(step)
        # Read here, so that errors in the data are raised as what they are.
        self._groups.load(position.epoch, position.group)
        first = pipeline * replicas_per_pipeline * rows

        def generate() -> Iterator[Runs]:
            for runs in self._groups.runs(position, self.global_batch_size):
                for replica in range(replicas_per_pipeline):
                    start = first + replica * rows
                    yield _part_of(runs, start, start + rows)

        return self._batches.dataset(generate, rows)

    def state(self, step: int) -> dict[str, int]:
        """Gives the position of `step`: epoch, group in the epoch, row in the group; and the number
        and size of the shards, by which changed data are noticed."""
        position = self._position(step)
        self._anchors[step] = position
        return {**position.to_json(), **self._groups.fingerprint}

    def evaluation_batches(self, batch_size: int) -> tf.data.Dataset:
        """Gives every example once, in the order of the files, planned and masked always alike.

        The last batch may be smaller. Neither the source's seed nor its global batch size matters.

        Raises:
          ValueError: batch_size below 1; or bad records in the first group.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size}.")
        groups = self._make_groups(seed=_EVALUATION_SEED, shuffle=False)
        groups.load(0, 0)

        def generate() -> Iterator[Runs]:
            yield from groups.runs(Position(), batch_size, one_epoch=True)

        return self._batches.dataset(generate, None)

    def token_counts(self) -> np.ndarray:
        """Counts the tokens of all records: int64 [vocab_size] (for `unigram_entropy`)."""
        return count_tokens(self.files, vocab_size=self._vocab_size)

    def label_shares(self) -> dict[str, float]:
        """Gives the measured share of label 1 (random, swapped) of each objective that labels
        pairs, in the first group of the first epoch."""
        plan = self._groups.load(0, 0).plan
        return {objective: plan.label_share(objective) for objective in plan.labels}

    def real_token_shares(self) -> tuple[float, float]:
        """Measures the first group of the first epoch: (share of real tokens in rows padded to
        sequence_length, how many examples a row holds on average)."""
        group = self._groups.load(0, 0)
        tokens = int(group.plan.lengths.sum())
        return tokens / (len(group) * self.sequence_length), len(group.plan) / len(group)

    @staticmethod
    def _check(
        sequence_length: int, batch_size: int, objectives: Sequence[str], short: float
    ) -> None:
        if sequence_length < MIN_SEQUENCE_LENGTH:
            raise ValueError(
                f"sequence_length must be at least {MIN_SEQUENCE_LENGTH}. "
                f"Received: {sequence_length}."
            )
        if batch_size < 1:
            raise ValueError(f"global_batch_size must be at least 1. Received: {batch_size}.")
        check_objectives(objectives)
        if not 0.0 <= short <= 1.0:
            raise ValueError(f"short_sequence_fraction must be in [0, 1]. Received: {short}.")

    def _make_groups(self, *, seed: int, shuffle: bool, passes: int | None = None) -> ShardGroups:
        return ShardGroups(
            self.files,
            seed=seed,
            vocab_size=self._vocab_size,
            make_plan=self._make_plan,
            group_bytes=self._group_bytes,
            shuffle=shuffle,
            passes=passes,
            pack=self._pack if self.packing else None,
        )

    def _pack(
        self, order: np.ndarray, lengths: np.ndarray, *, rng: np.random.Generator | None
    ) -> tuple[np.ndarray, np.ndarray]:
        return pack_in_order(
            order,
            lengths,
            capacity=self.sequence_length,
            max_items=self._max_examples,
            rng=rng,
        )

    def _checked_position(self, state: Mapping[str, Any]) -> Position:
        position = Position.from_json(state)
        for key, value in self._groups.fingerprint.items():
            if state.get(key) != value:
                raise ValueError(
                    "The training records are not those of the interrupted run. Received: "
                    f"{key}={value}, the data state says {key}={state.get(key)}. Remedy: give the "
                    "same records, or start a new run."
                )
        return position

    def _position(self, step: int) -> Position:
        """Walks from the nearest known step; only groups never planned before cost reading."""
        if step < 0:
            raise ValueError(f"step must not be negative. Received: {step}.")
        anchor = max(known for known in self._anchors if known <= step)
        return self._groups.advance(self._anchors[anchor], (step - anchor) * self.global_batch_size)


def _part_of(runs: Runs, start: int, end: int) -> Runs:
    """The rows [start, end) of a batch that may lie in several groups."""
    parts, offset = [], 0
    for group, rows in runs:
        part = rows[max(0, start - offset) : max(0, end - offset)]
        if len(part):
            parts.append((group, part))
        offset += len(rows)
    return parts
