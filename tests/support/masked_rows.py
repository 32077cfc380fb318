"""Rows of the tiny vocabulary, masked."""

from __future__ import annotations

import numpy as np
import tensorflow as tf
from token_corpora import VOCABULARY, tiny_tokenizer

from keras_bert_suite.data.masking import Masking
from keras_bert_suite.data.masking_rules import MaskingRules

PAD, UNK, CLS, SEP, MASK = range(5)
V = len(VOCABULARY)


def tiny_masking(kind="token", max_predictions=20, **rules):
    return Masking.for_tokenizer(
        tiny_tokenizer(), rules=MaskingRules(kind=kind, **rules), max_predictions=max_predictions
    )


def text_rows(lengths, width, seed=0):
    """Rows [CLS] text [SEP] text [SEP] padded to `width`; one text token in three is a piece."""
    rng = np.random.default_rng(seed)
    lengths = np.asarray(lengths)
    rows = rng.integers(5, V - 1, [len(lengths), width])
    columns = np.arange(width)[None]
    middle = (lengths // 2)[:, None]
    rows[(columns == middle) | (columns == lengths[:, None] - 1)] = SEP
    rows[:, 0] = CLS
    mask = columns < lengths[:, None]
    return {
        "token_ids": np.where(mask, rows, PAD).astype(np.int32),
        "padding_mask": mask.astype(np.int32),
    }


def apply_masking(masking, batch, keys, *, width=None):
    budgets = masking.num_predictions(batch["padding_mask"].sum(1), num_specials=3)
    run = tf.function(masking)
    out = run(batch, keys=keys, budgets=budgets, width=width or int(budgets.max()))
    return {key: value.numpy() for key, value in out.items()}, budgets
