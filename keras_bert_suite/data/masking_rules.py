"""What is masked together, how much, and what stands in its place. Imports no TensorFlow."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

MASKINGS = ("token", "whole_word", "span")
_SPAN_P, _MAX_SPAN_LENGTH = 0.2, 10


@dataclass(frozen=True, kw_only=True)
class MaskingRules:
    """The rules of one way of masking.

    Attributes:
      kind: "token", "whole_word" or "span" (see `masking.Masking`).
      fraction: share of a row's tokens to predict.
      mask_token_share: probability that a token to predict is replaced by [MASK].
      random_token_share: probability that it is replaced by a random token; else it stays.
      span_p: "span": probability that a span ends after a word.
      max_span_length: "span": words of the longest span.

    Raises:
      ValueError: an unknown kind, a number out of range, or span options without spans. The
        messages call the options by the names of bin/pretrain.py's flags.
    """

    kind: str = "token"
    fraction: float = 0.15
    mask_token_share: float = 0.8
    random_token_share: float = 0.1
    span_p: float = _SPAN_P
    max_span_length: int = _MAX_SPAN_LENGTH

    def __post_init__(self) -> None:
        if self.kind not in MASKINGS:
            raise ValueError(
                f"masking must be one of {', '.join(MASKINGS)}. Received: {self.kind!r}."
            )
        if not 0.0 < self.fraction < 1.0:
            raise ValueError(f"mask_fraction must be in (0, 1). Received: {self.fraction}.")
        shares = (self.mask_token_share, self.random_token_share)
        # 0.9 + 0.1 must not fail by its last bit.
        if min(shares) < 0 or sum(shares) > 1 + 1e-9:
            raise ValueError(
                "mask_token_share and random_token_share must not be negative, and together at "
                f"most 1. Received: {shares[0]} and {shares[1]}."
            )
        if not 0.0 < self.span_p <= 1.0:
            raise ValueError(f"span_p must be in (0, 1]. Received: {self.span_p}.")
        if self.max_span_length < 1:
            raise ValueError(
                f"max_span_length must be at least 1. Received: {self.max_span_length}."
            )
        changed = (self.span_p, self.max_span_length) != (_SPAN_P, _MAX_SPAN_LENGTH)
        if changed and self.kind != "span":
            raise ValueError(
                "span_p and max_span_length belong to masking=span. Received: "
                f"span_p={self.span_p}, max_span_length={self.max_span_length} with "
                f"masking={self.kind}."
            )

    def most_predictions(self, sequence_length: int) -> int:
        """Gives what no budget of a row of `sequence_length` tokens exceeds."""
        # The tolerance keeps 0.15 * 20 = 3.0000000000000004-like products from rounding up.
        return max(1, math.ceil(self.fraction * sequence_length - 1e-9))

    def budgets(self, lengths: np.ndarray, *, num_specials: int | np.ndarray) -> np.ndarray:
        """Gives the tokens to predict in rows of these lengths, at least 1: int32, their shape.

        Tokens and whole words: round(fraction n), half to even, where n counts all tokens (Devlin
        et al.). Spans: ceil(fraction n), where n leaves out the special tokens (Joshi et al.).

        Args:
          lengths: int, tokens of the rows, special tokens counted.
          num_specials: how many of them are [CLS] and [SEP]; one for all rows or one each.
        """
        lengths = np.asarray(lengths, np.float64)
        if self.kind == "span":
            wanted = np.ceil(self.fraction * (lengths - num_specials) - 1e-9)
        else:
            wanted = np.rint(self.fraction * lengths)
        return np.maximum(1, wanted.astype(np.int32))
