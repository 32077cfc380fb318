"""Texts that every export is tried with, as requests to its signatures."""

from __future__ import annotations

import numpy as np
import tensorflow as tf

from keras_bert_suite.serving.export_sources import ExportSource
from keras_bert_suite.serving.mixed import Mixed
from keras_bert_suite.serving.signatures import PREDICT_METHOD, TOKEN_INPUTS, Signature

# One as a rule and one of each difficulty: short, empty, of many scripts, too long.
SAMPLES = (
    "The quick brown fox jumps over the lazy dog.",
    "How do I set a timeout?",
    "",
    "Na\u00efve caf\u00e9, \u6f22\u5b57 and \U0001f600: 3.14 != [MASK]",
    "a text that is longer than any row " * 80,
)


def sample_inputs(
    source: ExportSource | Mixed, signature: Signature, texts: list[str]
) -> dict[str, np.ndarray]:
    """Returns a request of these texts to a signature: inputs by alias."""
    if isinstance(source, Mixed):
        return source.sample_inputs(texts)
    names = [spec.name for spec in signature.specs]
    if signature.method != PREDICT_METHOD:
        text_names = source.task.signature()["serving_default"]["inputs"]
        return {names[0]: np.array([_example(text_names, text) for text in texts], object)}
    if names[0] not in TOKEN_INPUTS:
        return {name: np.array([text.encode() for text in texts], object) for name in names}
    batch = source.tokenizer(texts, max_length=source.max_length)
    inputs = {name: np.asarray(batch[name]) for name in names if name in TOKEN_INPUTS}
    for name in set(names) - set(inputs):
        inputs[name] = np.tile(np.array([[0, 1]], np.int32), [len(texts), 1])
    return inputs


def _example(names: list[str], text: str) -> bytes:
    features = {
        name: tf.train.Feature(bytes_list=tf.train.BytesList(value=[text.encode()]))
        for name in names
    }
    example = tf.train.Example(features=tf.train.Features(feature=features))
    return example.SerializeToString(deterministic=True)
