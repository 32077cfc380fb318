"""Plans of rows of two segments: next sentences and sentence order.

A plan holds offsets alone; the rows are gathered batch by batch. It is drawn with Python's
`random.Random`, whose stream is the same on every platform and release, in one pass over sentences
(never over tokens).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from random import Random

import numpy as np

from keras_bert_suite.data.example_plan import NOT_ASKED, ExamplePlan
from keras_bert_suite.data.records import TokenRecords

TRUE_NEXT, RANDOM_NEXT = 0, 1
IN_ORDER, SWAPPED = 0, 1
PAIR_OBJECTIVES = ("nsp", "sop")
_MAX_DRAWS = 1000


def segment_pairs(
    records: TokenRecords,
    *,
    sequence_length: int,
    seed: int,
    short_fraction: float,
    objectives: Sequence[str] = ("nsp",),
) -> ExamplePlan:
    """Plans rows [CLS] A [SEP] B [SEP] of two segments.

    Sentences of one document are collected until they fill the target length, then cut at random
    into A and the rest. What the rest is for depends on the objectives:

    - "nsp": with equal chance it is B (label 0), or B is a run of sentences from a random place of
      another document (label 1) and the rest goes back to the pool.
    - "sop": it is B, and with equal chance the two change places (label 1).
    - both: a fair coin for each row says which of the two it asks; the other's label is NOT_ASKED.
    - neither: it is B.

    Rows that are too long lose tokens of the longer segment, from the front or the back with equal
    chance for each token.

    Where only one sentence is left there is nothing to cut. With "nsp" such a row asks it and B is
    random; it uses up half a random row among the others, so that random pairs stay one half of all
    as long as others are left. Without "nsp" it is a row of one segment that asks nothing.

    Args:
      records: what to plan over.
      sequence_length: tokens of a row, with the three special tokens.
      seed: fixes the plan.
      short_fraction: probability that a row's target is drawn uniformly from 2..sequence_length-3
        tokens instead of being full. (Google's draws once a document, this once a row, which keeps
        the share of short rows for long documents too.)
      objectives: those of "nsp" and "sop" that the rows ask; others are not read.

    Raises:
      ValueError: "nsp" with fewer than two documents; "sop" where no document has two sentences.

    Source: Devlin et al. 2018, arXiv:1810.04805, appendix A.2; the procedure is that of
    google-research/bert, create_pretraining_data.py. Sentence order: Lan et al. 2019,
    arXiv:1909.11942, section 3.1. Deviation: google-research/albert labels the random pair of a
    lone sentence as swapped.
    """
    asked = [objective for objective in PAIR_OBJECTIVES if objective in objectives]
    if "nsp" in asked:
        _check_two_documents(records)
    if "sop" in asked:
        _check_two_sentences(records)
    capacity = sequence_length - 3
    planner = _PairPlanner(records, asked, capacity, short_fraction, Random(seed))
    columns = np.array(planner.rows(), np.int64).reshape(-1, 6).T
    a_starts, a_ends, b_starts, b_ends = _truncated(*columns[:4], capacity=capacity, seed=seed)
    labels = dict(zip(PAIR_OBJECTIVES, columns[4:].astype(np.int32), strict=True))
    return ExamplePlan(
        tokens=records.tokens,
        a_starts=a_starts,
        a_ends=a_ends,
        b_starts=b_starts,
        b_ends=b_ends,
        labels={objective: labels[objective] for objective in asked},
    )


# a_start, a_end, b_start, b_end, next-sentence label, sentence-order label
_Row = tuple[int, int, int, int, int, int]


class _PairPlanner:
    """One pass over the sentences of all records."""

    def __init__(
        self,
        records: TokenRecords,
        asked: Sequence[str],
        capacity: int,
        short_fraction: float,
        rng: Random,
    ):
        self._records, self._asked, self._rng = records, asked, rng
        self._capacity, self._short_fraction = capacity, short_fraction
        self._starts = records.sentence_starts.tolist()
        self._bounds = records.record_starts.tolist()
        self._debt = 0.0  # forced random pairs that await a true one in exchange

    def rows(self) -> list[_Row]:
        rows = []
        random = self._rng.random
        for record in range(self._records.num_records):
            sentence, last = self._bounds[record], self._bounds[record + 1]
            while sentence < last:
                target = self._capacity
                if random() < self._short_fraction:
                    target = 2 + int(random() * (self._capacity - 1))
                end = _filled(self._starts, sentence, last, target)
                row, sentence = self._row(record, sentence, end, target)
                rows.append(row)
        return rows

    def _row(self, record: int, first: int, end: int, target: int) -> tuple[_Row, int]:
        """A row that begins at the sentence `first`, and the sentence after those it used up."""
        starts, random = self._starts, self._rng.random
        lone = end - first == 1
        middle = first + 1 + (0 if lone else int(random() * (end - first - 1)))
        a_start, a_end, rest_end = starts[first], starts[middle], starts[end]
        if lone and "nsp" not in self._asked:
            return (a_start, a_end, a_end, a_end, NOT_ASKED, NOT_ASKED), end
        asks = self._asked[0] if self._asked else None
        if len(self._asked) == 2 and not lone and random() < 0.5:
            asks = "sop"
        if asks == "nsp":
            if self._is_random(lone):
                b = self._random_segment(record, target - (a_end - a_start))
                return (a_start, a_end, *b, RANDOM_NEXT, NOT_ASKED), middle
            return (a_start, a_end, a_end, rest_end, TRUE_NEXT, NOT_ASKED), end
        if asks == "sop":
            if random() < 0.5:
                return (a_end, rest_end, a_start, a_end, NOT_ASKED, SWAPPED), end
            return (a_start, a_end, a_end, rest_end, NOT_ASKED, IN_ORDER), end
        return (a_start, a_end, a_end, rest_end, NOT_ASKED, NOT_ASKED), end

    def _is_random(self, lone: bool) -> bool:
        if lone:
            self._debt += 0.5
            return True
        is_random = self._rng.random() < 0.5
        if is_random and self._debt >= 1.0:
            self._debt -= 1.0
            return False
        return is_random

    def _random_segment(self, record: int, target: int) -> tuple[int, int]:
        first, last = _other_document(self._records, self._bounds, record, self._rng)
        stop = _filled(self._starts, first, last, max(1, target))
        return self._starts[first], self._starts[stop]


def _filled(starts: list[int], sentence: int, last: int, target: int) -> int:
    """The end of the shortest run of sentences with `target` tokens, at most `last`."""
    return min(last, bisect_left(starts, starts[sentence] + target, sentence + 1, last + 1))


def _other_document(
    records: TokenRecords, bounds: list[int], record: int, rng: Random
) -> tuple[int, int]:
    """Draws a record of another document and a sentence in it: (sentence, end of the record)."""
    identities, count = records.document_ids, records.num_records
    own = identities[record]
    other = record
    for _ in range(_MAX_DRAWS):
        other = int(rng.random() * count)
        if identities[other] != own:
            break
    else:
        # Nearly all records are of this document: draw among the few others.
        others = np.flatnonzero(identities != own)
        other = int(others[int(rng.random() * len(others))])
    first, last = bounds[other], bounds[other + 1]
    return first + int(rng.random() * (last - first)), last


def _check_two_documents(records: TokenRecords) -> None:
    if not records.num_records or (records.document_ids == records.document_ids[0]).all():
        raise ValueError(
            "Next-sentence pairs need at least two different documents in every group of shards. "
            f"Received: {min(1, records.num_records)}. Remedy: separate documents by blank lines, "
            "give more text, or train without the objective nsp."
        )


def _check_two_sentences(records: TokenRecords) -> None:
    if np.diff(records.record_starts).max(initial=0) < 2:
        raise ValueError(
            "Sentence order needs documents of at least two sentences in every group of shards. "
            f"Received: {records.num_records} documents of one. Remedy: give longer documents, or "
            "train without the objective sop."
        )


def _truncated(
    a_starts: np.ndarray,
    a_ends: np.ndarray,
    b_starts: np.ndarray,
    b_ends: np.ndarray,
    *,
    capacity: int,
    seed: int,
) -> tuple[np.ndarray, ...]:
    """Takes single tokens off the longer segment (off B in a tie) until the rows fit.

    The number taken off the front is binomial: each token goes from front or back by a fair coin.
    """
    a, b = a_ends - a_starts, b_ends - b_starts
    excess = np.maximum(a + b - capacity, 0)
    # First the difference is worn off the longer one, then both are shortened in turn, B first.
    uneven = np.minimum(excess, np.abs(a - b))
    rest = excess - uneven
    cut_a = np.where(a > b, uneven, 0) + rest // 2
    cut_b = np.where(a > b, 0, uneven) + (rest + 1) // 2
    rng = np.random.Generator(np.random.Philox(seed))
    front_a, front_b = rng.binomial(cut_a, 0.5), rng.binomial(cut_b, 0.5)
    return (
        a_starts + front_a,
        a_ends - (cut_a - front_a),
        b_starts + front_b,
        b_ends - (cut_b - front_b),
    )
