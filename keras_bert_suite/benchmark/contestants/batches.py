"""Batches that the suites have written."""

from __future__ import annotations

import numpy as np


def read_batch(path):
    """Returns {key: array} of a .npz file."""
    with np.load(path, allow_pickle=False) as file:
        return {key: file[key] for key in file.files}


def real_outputs(values, padding_mask):
    """Returns float32 [real tokens, ...] of [batch, length, ...]: padding is nobody's business."""
    return np.asarray(values, np.float32)[np.asarray(padding_mask) > 0]
