"""Which kind of rows a pre-training run has, and which objectives they can serve."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

from keras_bert_suite.data.example_plan import ExamplePlan
from keras_bert_suite.data.pairs import PAIR_OBJECTIVES, segment_pairs
from keras_bert_suite.data.records import TokenRecords
from keras_bert_suite.data.single_segments import doc_sentences, full_sentences

# The names are those of RoBERTa's comparison (arXiv:1907.11692, section 4.2).
ROWS = ("segment_pairs", "doc_sentences", "full_sentences")
OBJECTIVES = ("mlm", *PAIR_OBJECTIVES, "sbo")


def check_objectives(objectives: Sequence[str]) -> None:
    """Raises ValueError for an unknown or repeated objective, or without "mlm"."""
    unknown = set(objectives) - set(OBJECTIVES)
    if unknown or "mlm" not in objectives or len(set(objectives)) != len(objectives):
        raise ValueError(
            f"objectives must be mlm and any of {', '.join(OBJECTIVES[1:])}, each once. "
            f"Received: {','.join(objectives)!r}."
        )


def rows_for(rows: str | None, objectives: Sequence[str]) -> str:
    """Gives the kind of rows: `rows`, or by default the one that the objectives want.

    That is "segment_pairs" with "nsp" or "sop", "doc_sentences" without.

    Raises:
      ValueError: an unknown kind, or one without pairs for an objective that asks about pairs.
    """
    of_pairs = [objective for objective in objectives if objective in PAIR_OBJECTIVES]
    if rows is None:
        return "segment_pairs" if of_pairs else "doc_sentences"
    if rows not in ROWS:
        raise ValueError(f"rows must be one of {', '.join(ROWS)}. Received: {rows!r}.")
    if of_pairs and rows != "segment_pairs":
        raise ValueError(
            f"The objectives {','.join(of_pairs)} need rows=segment_pairs. Received: rows={rows}. "
            "Remedy: leave rows or these objectives out."
        )
    return rows


def planner(
    rows: str,
    *,
    objectives: Sequence[str],
    sequence_length: int,
    short_fraction: float,
    sep_id: int,
) -> Callable[[TokenRecords, int], ExamplePlan]:
    """Gives (records, seed) -> plan for a kind of rows.

    Args:
      rows: of `rows_for`.
      objectives: what pairs are labelled for.
      sequence_length, short_fraction: see `segment_pairs`.
      sep_id: what stands between documents in "full_sentences".
    """
    plans: dict[str, Callable[..., ExamplePlan]] = {
        "segment_pairs": functools.partial(segment_pairs, objectives=objectives),
        "doc_sentences": doc_sentences,
        "full_sentences": functools.partial(full_sentences, separator_id=sep_id),
    }
    plan = plans[rows]

    def make_plan(records: TokenRecords, seed: int) -> ExamplePlan:
        return plan(
            records, sequence_length=sequence_length, seed=seed, short_fraction=short_fraction
        )

    return make_plan
