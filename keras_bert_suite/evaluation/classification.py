"""Scores of classification as pure functions of label ids.

The conventions are scikit-learn's: a share with an empty denominator is 0; an average over labels
takes those that occur in the gold labels or in the predictions.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


@dataclasses.dataclass(frozen=True)
class LabelScores:
    """Scores of each label, each an array [labels].

    Attributes:
      precision, recall, f1: float64, in [0, 1].
      support: int64, gold examples.
      predicted: int64, predictions.
    """

    precision: np.ndarray
    recall: np.ndarray
    f1: np.ndarray
    support: np.ndarray
    predicted: np.ndarray


def confusion_matrix(gold: np.ndarray, predicted: np.ndarray, *, num_labels: int) -> np.ndarray:
    """Counts pairs: int64 [labels, labels], gold in the rows, predictions in the columns.

    Args:
      gold: int [examples], each in [0, num_labels).
      predicted: int [examples], likewise.
      num_labels: how many labels there are.

    Raises:
      ValueError: different lengths, no examples, or an id out of range.
    """
    gold, predicted = np.asarray(gold), np.asarray(predicted)
    if gold.shape != predicted.shape or gold.ndim != 1 or not gold.size:
        raise ValueError(
            "gold and predicted must be vectors of one length, at least 1. "
            f"Received: shapes {gold.shape} and {predicted.shape}."
        )
    for name, ids in (("gold", gold), ("predicted", predicted)):
        if ids.min() < 0 or ids.max() >= num_labels:
            raise ValueError(
                f"{name} ids must be in [0, {num_labels}). Received: {ids.min()} to {ids.max()}."
            )
    pairs = gold.astype(np.int64) * num_labels + predicted
    return np.bincount(pairs, minlength=num_labels**2).reshape(num_labels, num_labels)


def accuracy(confusion: np.ndarray) -> float:
    """The share of examples on the diagonal."""
    return float(np.trace(confusion) / confusion.sum())


def majority_accuracy(confusion: np.ndarray) -> float:
    """The accuracy of always answering the gold labels' most frequent one."""
    return float(confusion.sum(1).max() / confusion.sum())


def label_scores(confusion: np.ndarray) -> LabelScores:
    """Precision, recall and F1 of each label against the rest."""
    hits = np.diag(confusion).astype(np.float64)
    support, predicted = confusion.sum(1), confusion.sum(0)
    return LabelScores(
        precision=_share(hits, predicted),
        recall=_share(hits, support),
        f1=_share(2 * hits, support + predicted),
        support=support,
        predicted=predicted,
    )


def macro_f1(confusion: np.ndarray) -> float:
    """The plain mean of F1 over the labels that occur."""
    scores = label_scores(confusion)
    return float(scores.f1[(scores.support + scores.predicted) > 0].mean())


def matthews_correlation(confusion: np.ndarray) -> float:
    """The correlation of gold and predicted labels, in [-1, 1]; 0 where one side never varies.

    Source: Gorodkin 2004, "Comparing two K-category assignments by a K-category correlation
    coefficient"; with two labels it is Matthews' coefficient, as GLUE uses for CoLA.
    """
    # float64 would lose digits of the products beyond 2^53; Python's integers do not.
    total, hits = int(confusion.sum()), int(np.trace(confusion))
    gold = [int(count) for count in confusion.sum(1)]
    predicted = [int(count) for count in confusion.sum(0)]
    covariance = hits * total - sum(g * p for g, p in zip(gold, predicted, strict=True))
    gold_variance = total**2 - sum(g * g for g in gold)
    predicted_variance = total**2 - sum(p * p for p in predicted)
    if not gold_variance or not predicted_variance:
        return 0.0
    return covariance / (gold_variance * predicted_variance) ** 0.5


def label_table(confusion: np.ndarray, labels: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The scores of each label by name, JSON values."""
    each = label_scores(confusion)
    return {
        label: {
            "precision": float(each.precision[i]),
            "recall": float(each.recall[i]),
            "f1": float(each.f1[i]),
            "support": int(each.support[i]),
            "predicted": int(each.predicted[i]),
        }
        for i, label in enumerate(labels)
    }


def table_text(labels: Mapping[str, Mapping[str, Any]], *, counted: str = "examples") -> str:
    """`label_table` as lines of a fixed width; `counted` heads the column of the support."""
    width = max(len("label"), *map(len, labels))
    lines = [f"{'label':{width}}  precision  recall      f1  {counted:>8}"]
    for label, one in labels.items():
        lines.append(
            f"{label:{width}}  {one['precision']:9.4f}  {one['recall']:6.4f}  {one['f1']:6.4f}"
            f"  {one['support']:8d}"
        )
    return "\n".join(lines)


def _share(part: np.ndarray, whole: np.ndarray) -> np.ndarray:
    return np.divide(part, whole, out=np.zeros(part.shape, np.float64), where=whole > 0)
