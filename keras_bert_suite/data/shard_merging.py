"""Encoded runs -> one shard: order, duplicates, statistics.

The order of a shard follows from the texts alone (their digests), and equal documents fall into
the same shard. So a shard is the same whoever encoded its documents and in whatever order they
come, and duplicates are found without knowing any other shard: they cost no memory of their own.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence

import numpy as np

from keras_bert_suite.data.corpus_statistics import CorpusStatistics
from keras_bert_suite.data.document_filters import REASONS
from keras_bert_suite.data.encoded_runs import EncodedRun
from keras_bert_suite.data.records import ShardWriter

DUPLICATE = "duplicate"


def write_merged(
    path: str | os.PathLike, runs: Sequence[EncodedRun], *, deduplicate: bool
) -> CorpusStatistics:
    """Writes the records of a shard and gives back its statistics.

    Args:
      path: the TFRecord file.
      runs: all its documents.
      deduplicate: of documents with equal text the first is kept (by file and line).
    """
    writer = ShardWriter(path)
    merging = _Merging(runs, deduplicate=deduplicate)
    for record in merging.records():
        writer.write(record)
    writer.close()
    return merging.statistics()


def shard_state(statistics: CorpusStatistics) -> str:
    """Gives statistics as JSON text, for `CorpusStatistics.from_json`."""
    return json.dumps(statistics.to_json())


class _Merging:
    """Arrays over the document parts of a shard; `_order` sorts them to documents."""

    def __init__(self, runs: Sequence[EncodedRun], *, deduplicate: bool):
        self._runs = [run for run in runs if len(run.parts)]
        empty = EncodedRun.from_bytes(bytes(32))
        every = [empty, *self._runs]
        self._parts = np.concatenate([run.parts for run in every])
        self._lengths = np.concatenate([run.sentence_lengths for run in every])
        self._record_sizes = np.concatenate([run.record_sizes for run in every])
        self._run_of_part = np.repeat(
            np.arange(len(self._runs)), [len(run.parts) for run in self._runs]
        )
        parts = self._parts
        self._order = np.lexsort(
            (parts["line"], parts["file"], parts["digest_low"], parts["digest_high"])
        )
        ordered = parts[self._order]
        # A document is a first part and the parts after it.
        self._starts = np.flatnonzero(ordered["first"])
        self._document_of = np.cumsum(ordered["first"], dtype=np.int64) - 1
        self._reasons = ordered["reason"][self._starts]
        self._is_duplicate = np.zeros([len(self._starts)], np.bool_)
        if deduplicate:
            self._is_duplicate = self._repeated(ordered) & (self._reasons == 0)
        kept = (self._reasons == 0) & ~self._is_duplicate
        self._kept_documents = kept
        self._kept_in_order = kept[self._document_of] if len(kept) else np.zeros([0], np.bool_)

    def _repeated(self, ordered: np.ndarray) -> np.ndarray:
        """bool [documents]: whether one before has the same text to its end."""
        ends = np.append(self._starts[1:], len(ordered)) - 1
        whole = np.stack([ordered["whole_high"][ends], ordered["whole_low"][ends]], axis=1)
        _, first = np.unique(whole, axis=0, return_index=True)
        repeated = np.ones([len(whole)], np.bool_)
        repeated[first] = False
        return repeated

    def records(self) -> Iterator[bytes]:
        """Gives the records of the kept documents in their order."""
        payload_starts = _starts_within(self._parts["num_bytes"], self._run_of_part)
        first_records = _offsets(self._parts["num_records"])
        for index in self._order[self._kept_in_order].tolist():
            payload = self._runs[self._run_of_part[index]].payload
            start = int(payload_starts[index])
            for size in self._record_sizes[first_records[index] : first_records[index + 1]]:
                yield bytes(payload[start : start + int(size)])
                start += int(size)

    def statistics(self) -> CorpusStatistics:
        """Counts the kept documents and those left out."""
        statistics = CorpusStatistics()
        kept = np.zeros([len(self._parts)], np.bool_)
        kept[self._order] = self._kept_in_order
        offsets = _offsets(self._lengths)[_offsets(self._parts["num_sentences"])]
        tokens = np.diff(offsets)[self._order]
        per_document = np.bincount(
            self._document_of, weights=tokens, minlength=len(self._starts)
        ).astype(np.int64)
        statistics.add(
            document_lengths=per_document[self._kept_documents],
            sentence_lengths=self._lengths[np.repeat(kept, self._parts["num_sentences"])],
            num_records=int(self._parts["num_records"][kept].sum()),
            unknown_tokens=int(self._parts["unknown_tokens"][kept].sum()),
        )
        for code, reason in enumerate(REASONS, start=1):
            if count := int(np.count_nonzero(self._reasons == code)):
                statistics.dropped[reason] = count
        if duplicates := int(np.count_nonzero(self._is_duplicate)):
            statistics.dropped[DUPLICATE] = duplicates
        return statistics


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros([1], np.int64), np.cumsum(lengths, dtype=np.int64)])


def _starts_within(sizes: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """int64: where each of consecutive sizes starts within its group."""
    starts = _offsets(sizes)[:-1]
    _, first, inverse = np.unique(groups, return_index=True, return_inverse=True)
    return starts - starts[first][inverse]
