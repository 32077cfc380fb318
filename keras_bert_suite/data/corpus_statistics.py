"""What stats.json says of a corpus; memory does not grow with the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np

_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)
_COUNTS = ("documents", "skipped_documents", "records", "unknown_tokens")
_COUNTERS = ("dropped", "sentence_lengths", "document_lengths")


class CorpusStatistics:
    """Counts the documents, sentences and tokens of one split; sums of counts are exact.

    Attributes:
      documents, records: those written.
      skipped_documents: those without a token.
      unknown_tokens: tokens that are [UNK].
      dropped: reason -> documents left out for it.
      sentence_lengths, document_lengths: tokens -> how many have that length.
    """

    def __init__(self) -> None:
        self.documents = 0
        self.skipped_documents = 0
        self.records = 0
        self.unknown_tokens = 0
        self.dropped: Counter[str] = Counter()
        self.sentence_lengths: Counter[int] = Counter()
        self.document_lengths: Counter[int] = Counter()

    def add(
        self,
        *,
        document_lengths: np.ndarray,
        sentence_lengths: np.ndarray,
        num_records: int,
        unknown_tokens: int,
    ) -> None:
        """Adds documents; lengths are int64 arrays in tokens, a document of 0 counts as skipped."""
        written = document_lengths[document_lengths > 0]
        self.documents += len(written)
        self.skipped_documents += len(document_lengths) - len(written)
        self.records += num_records
        self.unknown_tokens += unknown_tokens
        for counter, lengths in (
            (self.document_lengths, written),
            (self.sentence_lengths, sentence_lengths),
        ):
            values, counts = np.unique(lengths, return_counts=True)
            counter.update(dict(zip(values.tolist(), counts.tolist(), strict=True)))

    def merge(self, other: CorpusStatistics) -> None:
        """Adds what another one counted."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        for name in _COUNTERS:
            getattr(self, name).update(getattr(other, name))

    @classmethod
    def merged(cls, several: Iterable[CorpusStatistics]) -> CorpusStatistics:
        """Gives the sum of several."""
        total = cls()
        for statistics in several:
            total.merge(statistics)
        return total

    def to_json(self) -> dict[str, Any]:
        """Gives all counts, as JSON values that `from_json` reads."""
        return {name: getattr(self, name) for name in _COUNTS} | {
            name: sorted(getattr(self, name).items()) for name in _COUNTERS
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> CorpusStatistics:
        """Reads `to_json`'s value."""
        statistics = cls()
        for name in _COUNTS:
            setattr(statistics, name, value[name])
        for name in _COUNTERS:
            getattr(statistics, name).update(dict(map(tuple, value[name])))
        return statistics

    def summary(self) -> dict[str, Any]:
        """Gives JSON values; lengths and percentiles in tokens, rates as shares."""
        tokens = _total(self.sentence_lengths)
        return {
            "documents": self.documents,
            "skipped_documents": self.skipped_documents,
            "dropped_documents": dict(sorted(self.dropped.items())),
            "records": self.records,
            "sentences": self.sentence_lengths.total(),
            "tokens": tokens,
            "unknown_token_rate": self.unknown_tokens / tokens if tokens else 0.0,
            "tokens_per_sentence": _distribution(self.sentence_lengths),
            "tokens_per_document": _distribution(self.document_lengths),
        }


def _total(lengths: Counter[int]) -> int:
    return sum(length * count for length, count in lengths.items())


def _distribution(lengths: Counter[int]) -> dict[str, Any]:
    """Mean, extremes, percentiles (nearest rank) and a histogram by powers of two."""
    count = lengths.total()
    if not count:
        return {}
    ordered = sorted(lengths)
    percentiles: dict[str, int] = {}
    seen, wanted = 0, list(_PERCENTILES)
    for length in ordered:
        seen += lengths[length]
        while wanted and seen * 100 >= wanted[0] * count:
            percentiles[str(wanted.pop(0))] = length
    histogram: Counter[int] = Counter()
    for length, number in lengths.items():
        histogram[length.bit_length()] += number
    return {
        "mean": _total(lengths) / count,
        "min": ordered[0],
        "max": ordered[-1],
        "percentiles": percentiles,
        "histogram": {
            f"{1 << (bits - 1)}-{(1 << bits) - 1}": histogram[bits] for bits in sorted(histogram)
        },
    }
