"""The inputs of the suites: lengths as people send them, random ids, masked words, packed rows."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_suite.data.row_packing import pack_rows

_FIRST_WORD = 1000  # ids below are [PAD], [CLS], ..., unused entries and single characters
_CLS, _SEP, _MASK = 101, 102, 103  # Google's vocabularies
_SPREAD = 1.0
_MASKED_SHARE = 0.15  # Devlin et al. 2018, section 3.1
_SHORTEST = 4


def natural_lengths(count: int, *, median: int = 30, longest: int = 128) -> np.ndarray:
    """Lengths of texts as people send them: many short ones, few long ones.

    The quantiles of a log-normal distribution of this median whose logarithm has the standard
    deviation 1, cut at `longest`: no draw, so that every run has the same lengths. With the
    defaults a third of a batch that is padded to its longest row is real.

    Returns:
      int64 [count], in a fixed order that is not sorted.
    """
    normal = statistics.NormalDist(math.log(median), _SPREAD)
    places = [(index + 0.5) / count for index in range(count)]
    lengths = [min(longest, max(_SHORTEST, round(math.exp(normal.inv_cdf(p))))) for p in places]
    return np.random.default_rng(0).permutation(np.array(lengths))


def token_batch(lengths: Sequence[int], *, vocab_size: int, seed: int = 0) -> dict[str, np.ndarray]:
    """A batch of random words, [CLS] first and [SEP] last, padded to its longest row.

    Returns:
      int32 [batch, longest]: token_ids, segment_ids (0), padding_mask (1 = real token).
    """
    generator = np.random.default_rng(seed)
    sizes = np.asarray(lengths)
    columns = np.arange(sizes.max())[None]
    real = columns < sizes[:, None]
    first = min(_FIRST_WORD, vocab_size // 2)
    ids = generator.integers(first, vocab_size, real.shape)
    ids[:, 0] = _CLS
    ids[np.arange(len(sizes)), sizes - 1] = _SEP
    return {
        "token_ids": np.where(real, ids, 0).astype(np.int32),
        "segment_ids": np.zeros(real.shape, np.int32),
        "padding_mask": real.astype(np.int32),
    }


def masked_batch(
    lengths: Sequence[int], *, vocab_size: int, seed: int = 0
) -> dict[str, np.ndarray]:
    """A batch for masked language modelling: 15 % of each row's words, rounded, are to be found.

    All of them are replaced by [MASK]: what stands there does not change the work.

    Returns:
      `token_batch` and [batch, most predictions of a row]: prediction_positions and prediction_ids
      int32, prediction_weights float32 (0 = padding).
    """
    batch = token_batch(lengths, vocab_size=vocab_size, seed=seed)
    generator = np.random.default_rng(seed + 1)
    counts = [max(1, round(_MASKED_SHARE * length)) for length in lengths]
    shape = (len(counts), max(counts))
    positions, ids = np.zeros(shape, np.int32), np.zeros(shape, np.int32)
    weights = np.zeros(shape, np.float32)
    for row, (length, count) in enumerate(zip(lengths, counts, strict=True)):
        chosen = np.sort(generator.choice(np.arange(1, length - 1), count, replace=False))
        positions[row, :count], weights[row, :count] = chosen, 1
        ids[row, :count] = batch["token_ids"][row, chosen]
        batch["token_ids"][row, chosen] = _MASK
    return batch | {
        "prediction_positions": positions,
        "prediction_ids": ids,
        "prediction_weights": weights,
    }


def packed(batch: dict[str, np.ndarray], *, length: int) -> dict[str, np.ndarray]:
    """The examples of a `masked_batch`, several in a row of `length` tokens.

    Returns:
      int32 [rows, length]: token_ids, segment_ids, padding_mask, position_ids (from 0 in each
      example), row_ids (1, 2, ...; 0 = padding); [rows, predictions] as in `masked_batch`.
    """
    lengths = batch["padding_mask"].sum(1)
    order, bounds = pack_rows(lengths, capacity=length, max_items=length)
    num_rows = len(bounds) - 1
    counts = (batch["prediction_weights"] > 0).sum(1)
    most = max(int(counts[order[a:b]].sum()) for a, b in zip(bounds, bounds[1:], strict=False))
    keys = ("token_ids", "segment_ids", "padding_mask", "position_ids", "row_ids")
    rows = {key: np.zeros((num_rows, length), np.int32) for key in keys}
    predicted = {
        key: np.zeros((num_rows, most), batch[key].dtype)
        for key in ("prediction_positions", "prediction_ids", "prediction_weights")
    }
    for row in range(num_rows):
        start = filled = 0
        for number, item in enumerate(order[bounds[row] : bounds[row + 1]], start=1):
            size, count = lengths[item], counts[item]
            place = (row, slice(start, start + size))
            for key in ("token_ids", "segment_ids", "padding_mask"):
                rows[key][place] = batch[key][item, :size]
            rows["position_ids"][place], rows["row_ids"][place] = np.arange(size), number
            for key, values in predicted.items():
                offset = start if key == "prediction_positions" else 0
                values[row, filled : filled + count] = batch[key][item, :count] + offset
            start, filled = start + size, filled + count
    return rows | predicted


def save_batch(path: Path, batch: dict[str, np.ndarray]) -> str:
    """Writes a batch for the contestants; returns the path."""
    arrays: dict[str, Any] = dict(batch)
    np.savez(path, **arrays)
    return str(path)
