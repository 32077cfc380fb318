"""Scores of sets of labels. The conventions are scikit-learn's with zero_division=0."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np


def multilabel_scores(
    gold: np.ndarray, predicted: np.ndarray, *, labels: Sequence[str]
) -> dict[str, Any]:
    """Scores tables of labels.

    Args:
      gold, predicted: bool [examples, labels].
      labels: their names.

    Returns:
      "micro_precision", "micro_recall", "micro_f1" over all decisions; "macro_f1", the mean over
      all labels; "exact_match", the share of rows with all labels right; "labels": name ->
      precision, recall, f1, support, predicted.
    """
    hits = (gold & predicted).sum(0)
    support, found = gold.sum(0), predicted.sum(0)
    each = {
        label: {
            "precision": _share(hits[i], found[i]),
            "recall": _share(hits[i], support[i]),
            "f1": _share(2 * hits[i], support[i] + found[i]),
            "support": int(support[i]),
            "predicted": int(found[i]),
        }
        for i, label in enumerate(labels)
    }
    return {
        "micro_precision": _share(hits.sum(), found.sum()),
        "micro_recall": _share(hits.sum(), support.sum()),
        "micro_f1": _share(2 * hits.sum(), support.sum() + found.sum()),
        "macro_f1": float(np.mean([one["f1"] for one in each.values()])),
        "exact_match": float((gold == predicted).all(1).mean()),
        "labels": each,
    }


def best_threshold(gold: np.ndarray, scores: np.ndarray) -> float:
    """The threshold with the best micro F1, halfway between two scores; 0.5 without any score.

    Args:
      gold: bool [examples, labels].
      scores: float32 [examples, labels], probabilities; a label is chosen from the threshold on.
    """
    order = np.argsort(-scores, axis=None, kind="stable")
    sorted_scores = scores.reshape(-1)[order].astype(np.float64)
    hits = np.cumsum(gold.reshape(-1)[order])
    f1 = 2.0 * hits / (gold.sum() + np.arange(1, len(order) + 1))
    # Only where the next score is lower can a threshold part the two.
    lower = np.append(sorted_scores[1:], 0.0)
    parts = sorted_scores > lower
    if not parts.any() or not gold.any():
        return 0.5
    best = int(np.argmax(np.where(parts, f1, -1.0)))
    return float(np.float32((sorted_scores[best] + lower[best]) / 2))


def _share(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0
