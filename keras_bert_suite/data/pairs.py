"""Plans of pre-training rows: which token ranges of the records make up each example.

A plan holds offsets alone; the rows are gathered batch by batch. It is drawn with Python's
`random.Random`, whose stream is the same on every platform and release, in one pass over sentences
(never over tokens).
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from random import Random

import numpy as np

from keras_bert_suite.data.records import TokenRecords

RANDOM_NEXT, TRUE_NEXT = 1, 0
_MAX_DRAWS = 1000


@dataclass(frozen=True, kw_only=True)
class ExamplePlan:
    """Token ranges [start, end) into `TokenRecords.tokens`, one example an entry.

    Attributes:
      a_starts, a_ends: int64 [examples], the first segment.
      b_starts, b_ends: int64 [examples], the second segment; empty in single-segment rows.
      labels: int32 [examples], 1 = the second segment is from another document, 0 = it follows;
        None in single-segment rows.
    """

    a_starts: np.ndarray
    a_ends: np.ndarray
    b_starts: np.ndarray
    b_ends: np.ndarray
    labels: np.ndarray | None

    def __len__(self) -> int:
        return len(self.a_starts)

    @property
    def random_next_share(self) -> float:
        """The measured share of random pairs, aimed at 0.5."""
        return float(np.mean(self.labels)) if self.labels is not None and len(self) else 0.0


def next_sentence_pairs(
    records: TokenRecords, *, sequence_length: int, seed: int, short_fraction: float
) -> ExamplePlan:
    """Plans rows [CLS] A [SEP] B [SEP] in which B follows A, or is from another document.

    Sentences are collected until they fill the target length, then cut at random into A and the
    rest. The rest is B, or B is a run of sentences from a random place of another document, and
    the rest goes back to the pool. Rows that are too long lose tokens of the longer segment, from
    the front or the back with equal chance for each token.

    Where only one sentence is left, B must be random. Every such row uses up half a random row
    among the others, so that random pairs stay one half of all as long as others are left.

    Args:
      records: what to plan over.
      sequence_length: tokens of a row, with the three special tokens.
      seed: fixes the plan.
      short_fraction: probability that a row's target is drawn uniformly from 2..sequence_length-3
        tokens instead of being full. (Google's draws once a document, this once a row, which keeps
        the share of short rows for long documents too.)

    Raises:
      ValueError: fewer than two documents.

    Source: Devlin et al. 2018, arXiv:1810.04805, appendix A.2; the procedure is that of
    google-research/bert, create_pretraining_data.py.
    """
    capacity = sequence_length - 3
    rng = Random(seed)
    _check_two_documents(records)
    starts, bounds = records.sentence_starts.tolist(), records.record_starts.tolist()
    rows: list[tuple[int, int, int, int, int]] = []
    debt = 0.0
    for record in range(records.num_records):
        sentence, last = bounds[record], bounds[record + 1]
        while sentence < last:
            target = capacity
            if rng.random() < short_fraction:
                target = 2 + int(rng.random() * (capacity - 1))
            end = _filled(starts, sentence, last, target)
            middle = sentence + 1
            if end - sentence > 1:
                middle += int(rng.random() * (end - sentence - 1))
                is_random = rng.random() < 0.5
                if is_random and debt >= 1.0:
                    is_random, debt = False, debt - 1.0
            else:
                is_random, debt = True, debt + 0.5
            a_start, a_end = starts[sentence], starts[middle]
            if is_random:
                first, final = _other_document(records, bounds, record, rng)
                stop = _filled(starts, first, final, max(1, target - (a_end - a_start)))
                rows.append((a_start, a_end, starts[first], starts[stop], RANDOM_NEXT))
                sentence = middle
            else:
                rows.append((a_start, a_end, a_end, starts[end], TRUE_NEXT))
                sentence = end
    columns = np.array(rows, np.int64).reshape(-1, 5).T
    a_starts, a_ends, b_starts, b_ends = _truncated(*columns[:4], capacity=capacity, seed=seed)
    return ExamplePlan(
        a_starts=a_starts,
        a_ends=a_ends,
        b_starts=b_starts,
        b_ends=b_ends,
        labels=columns[4].astype(np.int32),
    )


def single_segments(
    records: TokenRecords, *, sequence_length: int, seed: int, short_fraction: float
) -> ExamplePlan:
    """Plans rows [CLS] A [SEP] of as many whole sentences of one document as fit; no token is lost.

    A sentence that is longer than a row is cut into rows. Arguments as in `next_sentence_pairs`
    (two special tokens a row); a short target is exceeded by a first sentence that is longer.

    Source: Liu et al. 2019 (RoBERTa), arXiv:1907.11692, section 4.2, "DOC-SENTENCES".
    """
    capacity = sequence_length - 2
    rng = Random(seed)
    starts, bounds = records.sentence_starts.tolist(), records.record_starts.tolist()
    rows: list[tuple[int, int]] = []
    for record in range(records.num_records):
        first, last = bounds[record], bounds[record + 1]
        position, end = starts[first], starts[last]
        while position < end:
            target = capacity
            if rng.random() < short_fraction:
                target = 2 + int(rng.random() * (capacity - 1))
            first = bisect_right(starts, position, first, last + 1)
            whole = max(first, bisect_right(starts, position + target, first, last + 1) - 1)
            stop = min(starts[whole], position + capacity)
            rows.append((position, stop))
            position = stop
    columns = np.array(rows, np.int64).reshape(-1, 2).T
    return ExamplePlan(
        a_starts=columns[0],
        a_ends=columns[1],
        b_starts=columns[1],
        b_ends=columns[1],
        labels=None,
    )


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
            "give more text, or train with --objectives=mlm."
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
