"""Useful FLOP of a transformer, by formula: what must be multiplied for the real tokens alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from keras_bert_suite.config import EncoderConfig


def inference_flop(config: EncoderConfig, lengths: Iterable[int]) -> float:
    """FLOP of an encoder's forward pass on rows of these many real tokens.

        2 (L (4 H^2 + 2 H I) + E H where E differs from H)   for a token
        4 H p                                                for the attention of a row in a layer
        2 H^2                                                for the pooler, a row

    with L layers, hidden size H, intermediate size I and embedding size E, and p pairs of tokens
    that see each other: n^2 in a row of n, fewer in a layer with a window. A multiplication and an
    addition are 2 FLOP. Softmax, norms and activations are not counted.

    Source: Chowdhery et al. 2022, arXiv:2204.02311, appendix B, with the attention counted over the
    tokens of the row.
    """
    hidden, layers = config.hidden_size, config.num_layers
    embedding = config.embedding_size or hidden
    per_token = 2 * layers * (4 * hidden**2 + 2 * hidden * config.intermediate_size)
    if embedding != hidden:
        per_token += 2 * embedding * hidden
    lengths = list(lengths)
    pairs = sum(_pairs(n, config.reach(layer)) for layer in range(layers) for n in lengths)
    attention = 4 * hidden * pairs
    pooler = 2 * hidden**2 * len(lengths) if config.use_pooler else 0
    return float(sum(lengths) * per_token + attention + pooler)


def training_flop(config: EncoderConfig, lengths: Iterable[int], *, predictions: int) -> float:
    """FLOP of a masked-LM step: three times the forward pass (arXiv:2204.02311), head included.

    Args:
      config: of the encoder.
      lengths: real tokens of each example.
      predictions: masked words; each costs 2 (H E + E V), with V entries of the vocabulary.
    """
    embedding = config.embedding_size or config.hidden_size
    head = 2 * (config.hidden_size * embedding + embedding * config.vocab_size) * predictions
    without_pooler = config.replace(use_pooler=False)
    return 3 * (inference_flop(without_pooler, lengths) + head)


def masked_lm_flop(config: EncoderConfig, batch: Mapping[str, np.ndarray]) -> float:
    """`training_flop` of a batch with "padding_mask" and "prediction_weights"."""
    predictions = int((batch["prediction_weights"] > 0).sum())
    return training_flop(config, batch["padding_mask"].sum(1).tolist(), predictions=predictions)


def _pairs(length: int, reach: int | None) -> int:
    """Pairs of a row's tokens that are at most `reach` apart."""
    if reach is None or reach >= length:
        return length**2
    return length * (2 * reach + 1) - reach * (reach + 1)
