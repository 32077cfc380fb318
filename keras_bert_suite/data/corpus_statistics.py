"""What stats.json says of a corpus; memory does not grow with the corpus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any

_PERCENTILES = (1, 5, 25, 50, 75, 95, 99)


class CorpusStatistics:
    """Counts documents, sentences and tokens of one split, document part after document part."""

    def __init__(self) -> None:
        self.documents = 0
        self.skipped_documents = 0
        self.records = 0
        self.unknown_tokens = 0
        self._sentence_lengths: Counter[int] = Counter()
        self._document_lengths: Counter[int] = Counter()
        self._current_document: int | None = None

    def add_part(
        self,
        *,
        first: bool,
        num_records: int,
        sentence_lengths: Iterable[int],
        unknown_tokens: int,
    ) -> None:
        """Adds one part of a document; `first` starts a new document. Lengths are tokens."""
        if first:
            self._finish_document()
            self._current_document = 0
        lengths = list(sentence_lengths)
        self._current_document = (self._current_document or 0) + sum(lengths)
        self._sentence_lengths.update(lengths)
        self.records += num_records
        self.unknown_tokens += unknown_tokens

    def summary(self) -> dict[str, Any]:
        """Gives JSON values; lengths and percentiles in tokens, rates as shares."""
        self._finish_document()
        tokens = _total(self._sentence_lengths)
        return {
            "documents": self.documents,
            "skipped_documents": self.skipped_documents,
            "records": self.records,
            "sentences": self._sentence_lengths.total(),
            "tokens": tokens,
            "unknown_token_rate": self.unknown_tokens / tokens if tokens else 0.0,
            "tokens_per_sentence": _distribution(self._sentence_lengths),
            "tokens_per_document": _distribution(self._document_lengths),
        }

    def _finish_document(self) -> None:
        if self._current_document is None:
            return
        if self._current_document == 0:
            self.skipped_documents += 1
        else:
            self.documents += 1
            self._document_lengths[self._current_document] += 1
        self._current_document = None


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
