"""Reference values to hold a masked language model against."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import numpy as np


def unigram_entropy(batches: Iterable[Mapping[str, Any]], *, token_counts: Any) -> float:
    """Gives the cross-entropy of prediction targets under the training text's unigrams, in nats.

    It is the mean over all predictions that count of -ln p(target), with p(token) =
    (count of the token in the training text + 1) / (tokens of the training text + vocabulary size).
    So a model that knows how frequent every token is, and nothing of the context, would score this
    MLM loss; a model that uses context must score clearly less. It is the entropy of the training
    unigrams up to the difference between the two texts and the smoothing, and is measured on the
    same targets, with the same weights, as the MLM loss it is compared with.

    Args:
      batches: held-out batches with prediction_ids int [B, P] and prediction_weights float [B, P]
        (0 marks padding), arrays or tensors: `PretrainingSource.evaluation_batches`.
      token_counts: int [vocab], occurrences in the training text: `PretrainingSource.token_counts`
        of the training source. Special tokens count as text tokens do (0 and 1 after smoothing).

    Returns:
      Nats a token.

    Raises:
      ValueError: token_counts is not a vector of counts, a target lies outside it, or no
        prediction counts.
    """
    counts = np.asarray(token_counts, np.float64)
    if counts.ndim != 1 or not counts.size or counts.min() < 0:
        raise ValueError(
            "token_counts must be a vector of counts, one for each token of the vocabulary. "
            f"Received: shape {counts.shape}."
        )
    surprisals = np.log(counts.sum() + counts.size) - np.log(counts + 1.0)
    total = weight = 0.0
    for batch in batches:
        ids, weights = _targets(batch)
        if ids.size and not 0 <= ids.min() <= ids.max() < counts.size:
            raise ValueError(
                f"A prediction id lies outside token_counts ({counts.size} tokens). Received: "
                f"ids in [{ids.min()}, {ids.max()}]. Remedy: count with the same tokenizer."
            )
        total += float(np.sum(surprisals[ids] * weights))
        weight += float(np.sum(weights))
    if weight == 0.0:
        raise ValueError("The batches hold no prediction that counts: the held-out text is empty.")
    return total / weight


def _targets(batch: Mapping[str, Any]) -> tuple[np.ndarray, np.ndarray]:
    for key in ("prediction_ids", "prediction_weights"):
        if key not in batch:
            raise ValueError(
                f"Every batch must have {key}. Received the keys: {', '.join(sorted(batch))}."
            )
    weights = np.asarray(batch["prediction_weights"], np.float64)
    return np.asarray(batch["prediction_ids"]), weights
