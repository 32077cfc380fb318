"""Model directories of a few kilobytes, with large random weights so that answers differ."""

from __future__ import annotations

from pathlib import Path

import keras

import keras_bert_suite as kbs
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.tasks.classification import Classification

_WORDS = "[PAD] [UNK] [CLS] [SEP] [MASK] the quick brown fox jump ##s over lazy dog . it rain wet"
SEQUENCE_LENGTH = 16


def write_classifier(directory: Path, *, seed: int = 1) -> Path:
    """One text -> no, yes or maybe."""
    task = Classification(text_column="text", labels=("no", "yes", "maybe"))
    return _write(directory, task=task, seed=seed)


def write_pair_classifier(directory: Path) -> Path:
    """Two texts -> no or yes."""
    task = Classification(text_a_column="text_a", text_b_column="text_b", labels=("no", "yes"))
    return _write(directory, task=task, seed=2)


def write_pretrained(directory: Path) -> Path:
    """Masked LM and next sentence, without a task."""
    return _write(directory, task=None, seed=3)


def _write(directory: Path, *, task: Classification | None, seed: int) -> Path:
    keras.utils.set_random_seed(seed)
    tokenizer = kbs.Tokenizer(_WORDS.split())
    config = kbs.EncoderConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=8,
        num_layers=2,
        num_heads=2,
        intermediate_size=16,
        max_positions=24,
    )
    heads = [task.head(config)] if task else []
    if not task:
        heads = [MaskedLMHead.for_encoder(config), NextSentenceHead.for_encoder(config)]
    model = kbs.BertModel(kbs.Encoder(config), heads)
    for weight in model.weights:
        if "kernel" in weight.path:
            weight.assign(weight * 20)
    extra = {"task": task.to_config(), "sequence_length": SEQUENCE_LENGTH} if task else {}
    kbs.save_model(model, directory, tokenizer=tokenizer, extra=extra)
    return directory
