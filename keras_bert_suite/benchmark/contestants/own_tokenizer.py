"""Our tokenizer in tf.data."""

from __future__ import annotations

import time

import numpy as np

from keras_bert_suite.benchmark.contestants.text_files import read_texts


class Contestant:
    """A unit is a byte of text.

    Options: tokenizer, a directory. Work: texts; rows of a batch; compared, a number of texts.
    """

    def __init__(self, options):
        import tensorflow as tf

        import keras_bert_suite as kbs

        self._tf, self._datasets = tf, {}
        self._ids = kbs.Tokenizer.from_directory(options["tokenizer"]).ragged_ids

    def run(self, work):
        if work["texts"] not in self._datasets:
            texts, _ = read_texts(work["texts"])
            size = float(sum(len(text.encode()) for text in texts))
            self._datasets[work["texts"]] = self._dataset(texts, work["rows"]), size
        dataset, size = self._datasets[work["texts"]]
        started = time.perf_counter()
        for _ in dataset:
            pass
        return time.perf_counter() - started, size

    def outputs(self, work):
        texts, _ = read_texts(work["texts"])
        (ids,) = self._dataset(texts[: work["compared"]], work["compared"])
        return fingerprints(ids.to_list())

    def _dataset(self, texts, rows):
        dataset = self._tf.data.Dataset.from_tensor_slices(texts).batch(rows)
        dataset = dataset.map(self._ids, num_parallel_calls=self._tf.data.AUTOTUNE)
        return dataset.prefetch(2)


def fingerprints(rows):
    """Returns float32 [texts, 2]: the number of each text's ids and a hash of them."""
    # A float32 holds integers below 2^24 exactly.
    modulus = 2**24 - 3
    found = []
    for ids in rows:
        value = 0
        for token in ids:
            value = (value * 31_337 + int(token) + 1) % modulus
        found.append([len(ids), value])
    return np.asarray(found, np.float32)
