"""Scores of numbers: correlations and errors, equal to SciPy's."""

from __future__ import annotations

import numpy as np


def pearson(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Pearson's correlation, in [-1, 1]; 0 where one side never varies (SciPy has NaN)."""
    gold, predicted = _vectors(gold, predicted)
    # Not by the deviations, which rounding of the mean leaves a constant: 1000 times 0.1, say.
    if not (np.ptp(gold) and np.ptp(predicted)):
        return 0.0
    gold, predicted = gold - gold.mean(), predicted - predicted.mean()
    scale = np.linalg.norm(gold) * np.linalg.norm(predicted)
    return float(np.clip(gold @ predicted / scale, -1.0, 1.0)) if scale else 0.0


def spearman(gold: np.ndarray, predicted: np.ndarray) -> float:
    """Spearman's correlation: Pearson's of the ranks, equal values sharing their mean rank."""
    gold, predicted = _vectors(gold, predicted)
    return pearson(ranks(gold), ranks(predicted))


def ranks(values: np.ndarray) -> np.ndarray:
    """float64 [n]: the place of each value among the sorted, from 1; ties share the mean."""
    _, which, counts = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(counts)
    return (last - (counts - 1) / 2.0)[which]


def errors(gold: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    """{"mean_squared_error", "mean_absolute_error"}."""
    gold, predicted = _vectors(gold, predicted)
    difference = predicted - gold
    return {
        "mean_squared_error": float(np.mean(difference**2)),
        "mean_absolute_error": float(np.mean(np.abs(difference))),
    }


def _vectors(gold: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    gold, predicted = np.asarray(gold, np.float64), np.asarray(predicted, np.float64)
    if gold.shape != predicted.shape or gold.ndim != 1 or not gold.size:
        raise ValueError(
            "gold and predicted must be vectors of one length, at least 1. "
            f"Received: shapes {gold.shape} and {predicted.shape}."
        )
    return gold, predicted
