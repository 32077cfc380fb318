"""How far a classifier's probabilities can be believed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np


def expected_calibration_error(
    confidences: Sequence[float], correct: Sequence[bool], *, num_bins: int = 15
) -> float:
    """The mean distance between confidence and accuracy, in [0, 1]; 0 is best.

    The predictions are put in bins of equal width by their confidence; a bin's distance is that of
    its mean confidence from its accuracy, and counts as much as it has predictions.

    Args:
      confidences: probability of each predicted label.
      correct: whether it is the gold label.
      num_bins: bins over (0, 1].

    Raises:
      ValueError: different lengths, or no predictions.

    Source: Naeini et al. 2015 (AAAI); Guo et al. 2017, arXiv:1706.04599, section 2, with 15 bins.
    """
    shares, hits = np.asarray(confidences, np.float64), np.asarray(correct, np.float64)
    if shares.shape != hits.shape or shares.ndim != 1 or not shares.size:
        raise ValueError(
            "confidences and correct must be vectors of one length, at least 1. "
            f"Received: shapes {shares.shape} and {hits.shape}."
        )
    bins = np.clip(np.ceil(shares * num_bins).astype(np.int64) - 1, 0, num_bins - 1)
    difference = np.bincount(bins, weights=shares - hits, minlength=num_bins)
    return float(np.abs(difference).sum() / shares.size)
