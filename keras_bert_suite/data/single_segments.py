"""Plans of rows of one segment, within documents or across them."""

from __future__ import annotations

from bisect import bisect_right
from random import Random

import numpy as np

from keras_bert_suite.data.example_plan import ExamplePlan
from keras_bert_suite.data.records import TokenRecords


def doc_sentences(
    records: TokenRecords, *, sequence_length: int, seed: int, short_fraction: float
) -> ExamplePlan:
    """Plans rows [CLS] A [SEP] of as many whole sentences of one document as fit; no token is lost.

    A sentence that is longer than a row is cut into rows.

    Args:
      records: what to plan over.
      sequence_length: tokens of a row, with the two special tokens.
      seed: fixes the plan.
      short_fraction: probability that a row's target is drawn uniformly from 2..sequence_length-2
        tokens instead of being full; a first sentence that is longer exceeds it.

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
    return _single_segments(records.tokens, columns[0], columns[1])


def full_sentences(
    records: TokenRecords,
    *,
    sequence_length: int,
    seed: int,
    short_fraction: float,
    separator_id: int,
) -> ExamplePlan:
    """Plans rows [CLS] A [SEP] of as many whole sentences as fit, across the ends of documents.

    Where one document ends within a row and the next begins, a separator stands between them.
    Arguments as in `doc_sentences`.

    Args:
      separator_id: the separator, [SEP].

    Source: Liu et al. 2019 (RoBERTa), arXiv:1907.11692, section 4.2, "FULL-SENTENCES".
    """
    plan = doc_sentences(
        _joined(records, separator_id),
        sequence_length=sequence_length,
        seed=seed,
        short_fraction=short_fraction,
    )
    # A separator at an end of a row separates nothing.
    starts = plan.a_starts + (plan.tokens[plan.a_starts] == separator_id)
    ends = plan.a_ends - (plan.tokens[plan.a_ends - 1] == separator_id)
    kept = starts < ends
    return _single_segments(plan.tokens, starts[kept], ends[kept])


def _joined(records: TokenRecords, separator_id: int) -> TokenRecords:
    """One record of all, with a separator as a sentence of its own between documents."""
    starts = records.sentence_starts
    new_documents = 1 + np.flatnonzero(records.document_ids[1:] != records.document_ids[:-1])
    sentences = records.record_starts[new_documents]
    tokens = np.insert(records.tokens, starts[sentences], np.int32(separator_id))
    # Each sentence moves by the separators before it; a separator stands right before its own.
    moved = starts + np.searchsorted(sentences, np.arange(len(starts)), side="right")
    separators = moved[sentences] - 1
    return TokenRecords(
        tokens=tokens,
        sentence_starts=np.sort(np.concatenate([moved, separators])),
        record_starts=np.array([0, len(moved) - 1 + len(separators)]),
        document_ids=records.document_ids[:1],
    )


def _single_segments(tokens: np.ndarray, starts: np.ndarray, ends: np.ndarray) -> ExamplePlan:
    return ExamplePlan(tokens=tokens, a_starts=starts, a_ends=ends, b_starts=ends, b_ends=ends)
