"""Exact span F1: a span counts where its place and its label are both right."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Sequence

Span = tuple[int, int, str]


def counts(
    gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]
) -> dict[str, tuple[int, int, int]]:
    """label -> (spans right, spans predicted, spans in gold), sorted by label.

    Args:
      gold, predicted: for each text its spans (start, end, label); repeated ones count once.

    Raises:
      ValueError: not as many predictions as texts.
    """
    if len(gold) != len(predicted):
        raise ValueError(
            f"Every text needs a prediction. Received: {len(gold)} texts, {len(predicted)} "
            "predictions."
        )
    found: dict[str, list[int]] = collections.defaultdict(lambda: [0, 0, 0])
    for right, guessed in zip(map(set, gold), map(set, predicted), strict=True):
        for place, spans in enumerate((right & guessed, guessed, right)):
            for _, _, label in spans:
                found[label][place] += 1
    return {label: (n[0], n[1], n[2]) for label, n in sorted(found.items())}


def precision_recall_f1(right: int, predicted: int, gold: int) -> tuple[float, float, float]:
    """Percentages; 0 where there is nothing to divide by."""
    precision = 100.0 * right / predicted if predicted else 0.0
    recall = 100.0 * right / gold if gold else 0.0
    return precision, recall, 200.0 * right / (predicted + gold) if right else 0.0


def span_scores(
    gold: Sequence[Iterable[Span]], predicted: Sequence[Iterable[Span]]
) -> dict[str, object]:
    """Micro-averaged precision, recall and f1 (percent), and the same of each label.

    Args:
      gold, predicted: as in `counts`.

    Returns:
      {"precision", "recall", "f1", "labels": {label: {"precision", "recall", "f1", "support",
      "predicted"}}}.
    """
    each = counts(gold, predicted)
    totals = [sum(column) for column in zip(*each.values(), strict=True)] or [0, 0, 0]
    precision, recall, f1 = precision_recall_f1(*totals)
    labels = {}
    for label, numbers in each.items():
        values = precision_recall_f1(*numbers)
        labels[label] = dict(zip(("precision", "recall", "f1"), values, strict=True)) | {
            "support": numbers[2],
            "predicted": numbers[1],
        }
    return {"precision": precision, "recall": recall, "f1": f1, "labels": labels}
