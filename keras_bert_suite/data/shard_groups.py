"""The order of examples over epochs and groups of shards, and positions in it."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_bert_suite.data.example_plan import ExamplePlan
from keras_bert_suite.data.records import TokenRecords, read_shards
from keras_bert_suite.data.row_randomness import row_keys

# Shards are read together up to this size on disk (about 16 million tokens, 64 MB as int32).
GROUP_BYTES = 32 << 20


@dataclass(frozen=True, order=True)
class Position:
    """The next row: epoch, group in the epoch's order, offset in the group's order of rows."""

    epoch: int = 0
    group: int = 0
    offset: int = 0

    def to_json(self) -> dict[str, int]:
        return {"epoch": self.epoch, "group": self.group, "offset": self.offset}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Position:
        """Reads `to_json`'s value.

        Raises:
          ValueError: another form.
        """
        try:
            position = cls(*(int(value[key]) for key in ("epoch", "group", "offset")))
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f"A data state must have the integers epoch, group and offset. Received: {value!r}."
            ) from error
        if min(position.epoch, position.group, position.offset) < 0:
            raise ValueError(f"A data state must not be negative. Received: {value!r}.")
        return position


@dataclass(frozen=True, kw_only=True)
class PlannedGroup:
    """One group of shards in memory with its plan for one epoch.

    Attributes:
      plan: the examples.
      order: int64 [examples], the permutation in which they are seen.
      bounds: int64 [rows + 1], row r holds order[bounds[r] : bounds[r + 1]]; None: one a row.
      keys: int64 [examples], what each example's masking is drawn from.
    """

    plan: ExamplePlan
    order: np.ndarray
    keys: np.ndarray
    bounds: np.ndarray | None = None

    def __len__(self) -> int:
        """The number of rows."""
        return len(self.order) if self.bounds is None else len(self.bounds) - 1

    def examples(self, rows: np.ndarray) -> np.ndarray:
        """int64 [examples]: those of rows that follow each other, row after row."""
        if self.bounds is None:
            return self.order[rows]
        return self.order[self.bounds[rows[0]] : self.bounds[rows[-1] + 1]]

    def sizes(self, rows: np.ndarray) -> np.ndarray:
        """int64, like `rows`: how many examples each holds."""
        return (
            np.ones_like(rows) if self.bounds is None else self.bounds[rows + 1] - self.bounds[rows]
        )


class ShardGroups:
    """Endless epochs over groups of shards; every epoch groups and orders the shards anew.

    An epoch's order, each group's plan and permutation follow from (seed, epoch, group) alone. With
    `passes`, the groups, plans and keys of epoch e are those of epoch e mod passes; only the order
    of the examples in a group is e's own.

    Args:
      files: the shards, sorted.
      seed: fixes everything.
      vocab_size: bound of the token ids.
      make_plan: (records, seed) -> plan.
      group_bytes: size on disk of a group, about; the shards are cut into groups of like size.
      shuffle: False keeps the files' and the plan's order (evaluation).
      passes: epochs before examples and keys come again; None for never.
      pack: (order, lengths, rng=) -> (order, bounds), which examples share a row; rng is None
        without shuffle. None: every example has a row.
    """

    def __init__(
        self,
        files: Sequence[str],
        *,
        seed: int,
        vocab_size: int,
        make_plan: Callable[[TokenRecords, int], ExamplePlan],
        group_bytes: int = GROUP_BYTES,
        shuffle: bool = True,
        passes: int | None = None,
        pack: Callable[..., tuple[np.ndarray, np.ndarray]] | None = None,
    ):
        # A shard that no document fell into is an empty file.
        self._files = [file for file in files if os.path.getsize(file)]
        self._sizes = [os.path.getsize(file) for file in self._files]
        if not self._files:
            raise ValueError(
                f"The shards hold no record. Received: {len(files)} empty files, such as "
                f"{files[0]}."
            )
        self._seed = seed
        self._vocab_size = vocab_size
        self._make_plan = make_plan
        self._group_bytes = group_bytes
        self._shuffle = shuffle
        if passes is not None and passes < 1:
            raise ValueError(f"masking_passes must be at least 1. Received: {passes}.")
        self._passes = passes
        self._pack = pack
        self._counts: dict[tuple[int, int], int] = {}
        self._last: tuple[tuple[int, int], PlannedGroup] | None = None
        self._lock = threading.Lock()

    @property
    def fingerprint(self) -> dict[str, int]:
        """The number of shards and their bytes together."""
        return {"shards": len(self._files), "bytes": sum(self._sizes)}

    def groups_of(self, epoch: int) -> list[list[str]]:
        """Gives the files of each group of an epoch, in the order of reading."""
        order: Sequence[int] = range(len(self._files))
        if self._shuffle:
            order = self._generator(self._pass(epoch)).permutation(len(self._files)).tolist()
        total = sum(self._sizes)
        count = -(-total // self._group_bytes)
        groups: list[list[str]] = [[] for _ in range(count)]
        read = 0
        for index in order:
            # The group in which the middle of the shard falls when the bytes are cut evenly.
            groups[(2 * read + self._sizes[index]) * count // (2 * total)].append(
                self._files[index]
            )
            read += self._sizes[index]
        return [group for group in groups if group]

    def load(self, epoch: int, group: int) -> PlannedGroup:
        """Reads and plans one group; the last one is kept."""
        with self._lock:
            if self._last is None or self._last[0] != (epoch, group):
                self._last = None  # Frees the old group before the new one is read.
                loaded = self._load(epoch, group)
                self._counts[epoch, group] = len(loaded)
                self._last = ((epoch, group), loaded)
            return self._last[1]

    def count(self, epoch: int, group: int) -> int:
        """Gives the number of rows of a group; reads it if it was never planned."""
        if (epoch, group) not in self._counts:
            self.load(epoch, group)
        return self._counts[epoch, group]

    def advance(self, position: Position, rows: int) -> Position:
        """Gives the position `rows` further on."""
        epoch, group, offset = position.epoch, position.group, position.offset + rows
        while True:
            num_groups = len(self.groups_of(epoch))
            while group < num_groups:
                count = self.count(epoch, group)
                if offset < count:
                    return Position(epoch, group, offset)
                offset -= count
                group += 1
            epoch, group = epoch + 1, 0

    def runs(
        self, position: Position, size: int, *, one_epoch: bool = False
    ) -> Iterator[list[tuple[PlannedGroup, np.ndarray]]]:
        """Gives batches of `size` rows from `position` on, without end.

        A batch is a list of (group, int64 numbers of rows): one entry, or more where it spans
        groups. With `one_epoch` it ends with the epoch, and the last batch may be smaller.
        """
        batch: list[tuple[PlannedGroup, np.ndarray]] = []
        missing = size
        for epoch, group, offset in self._groups_from(position):
            if one_epoch and epoch != position.epoch:
                break
            planned = self.load(epoch, group)
            while offset < len(planned):
                rows = np.arange(offset, min(offset + missing, len(planned)))
                batch.append((planned, rows))
                offset += len(rows)
                missing -= len(rows)
                if not missing:
                    yield batch
                    batch, missing = [], size
        if batch:
            yield batch

    def _groups_from(self, position: Position) -> Iterator[tuple[int, int, int]]:
        epoch, group, offset = position.epoch, position.group, position.offset
        while True:
            for index in range(group, len(self.groups_of(epoch))):
                yield epoch, index, offset
                offset = 0
            epoch, group = epoch + 1, 0

    def _load(self, epoch: int, group: int) -> PlannedGroup:
        groups = self.groups_of(epoch)
        if group >= len(groups):
            raise ValueError(
                f"The data state names group {group} of epoch {epoch}, which has {len(groups)} "
                "groups. The state belongs to other files."
            )
        records = read_shards(groups[group], vocab_size=self._vocab_size)
        drawn_from = (self._seed, self._pass(epoch), group)
        # A plan's seed must not be negative.
        try:
            plan = self._make_plan(records, int(row_keys(*drawn_from)) & (2**63 - 1))
        except ValueError as error:
            first, others = groups[group][0], len(groups[group]) - 1
            raise ValueError(f"{first}{f' and {others} more' * (others > 0)}: {error}") from error
        indices = np.arange(len(plan))
        rng = self._generator(epoch, group) if self._shuffle else None
        order, bounds = indices if rng is None else rng.permutation(len(plan)), None
        if self._pack is not None:
            order, bounds = self._pack(order, plan.lengths, rng=rng)
        return PlannedGroup(
            plan=plan,
            order=order,
            bounds=bounds,
            keys=row_keys(*drawn_from, indices),
        )

    def _pass(self, epoch: int) -> int:
        """The epoch whose groups, plans and keys this one has."""
        return epoch if self._passes is None else epoch % self._passes

    def _generator(self, *parts: int) -> np.random.Generator:
        entropy = [self._seed & (2**64 - 1), *parts]
        return np.random.Generator(np.random.PCG64(np.random.SeedSequence(entropy)))
