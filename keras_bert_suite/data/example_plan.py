"""Which tokens of the records make up each pre-training example."""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

# The label of an example that an objective does not ask.
NOT_ASKED = -1


@dataclass(frozen=True, kw_only=True)
class ExamplePlan:
    """Token ranges [start, end) into `tokens`, one example an entry.

    Attributes:
      tokens: int32 [tokens], what the ranges point into.
      a_starts, a_ends: int64 [examples], the first segment.
      b_starts, b_ends: int64 [examples], the second segment; empty where there is one alone.
      labels: objective ("nsp", "sop") -> int32 [examples], 0 or 1, or NOT_ASKED.
    """

    tokens: np.ndarray
    a_starts: np.ndarray
    a_ends: np.ndarray
    b_starts: np.ndarray
    b_ends: np.ndarray
    labels: Mapping[str, np.ndarray] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.a_starts)

    @functools.cached_property
    def lengths(self) -> np.ndarray:
        """int64 [examples]: tokens of [CLS] A [SEP] or [CLS] A [SEP] B [SEP]."""
        b = self.b_ends - self.b_starts
        return self.a_ends - self.a_starts + b + 2 + (b > 0)

    def label_share(self, objective: str) -> float:
        """The measured share of label 1 among the examples asked, aimed at 0.5; 0 without any."""
        labels = self.labels[objective]
        asked = labels[labels != NOT_ASKED]
        return float(np.mean(asked)) if len(asked) else 0.0
