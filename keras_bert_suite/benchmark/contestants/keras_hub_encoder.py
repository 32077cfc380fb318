"""KerasHub's BertBackbone in a tf.function, with XLA on request."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.batches import read_batch, real_outputs


class Contestant:
    """A unit is a real token; the batch is computed as it is padded.

    Options: preset, a directory; dtype, "float32" or "mixed_bfloat16"; jit.
    """

    def __init__(self, options):
        import keras_hub
        import tensorflow as tf

        self._tf = tf
        backbone = keras_hub.models.BertBackbone.from_preset(
            options["preset"], dtype=options["dtype"]
        )
        self._encode = tf.function(
            lambda batch: backbone(batch, training=False)["sequence_output"],
            jit_compile=options["jit"] or None,
            autograph=False,
        )

    def _batch(self, work):
        return {key: self._tf.constant(v) for key, v in read_batch(work["batch"]).items()}

    def run(self, work):
        batch = self._batch(work)
        times = work.get("times", 1)
        started = time.perf_counter()
        for _ in range(times):
            self._encode(batch).numpy()
        seconds = time.perf_counter() - started
        return seconds, times * float(batch["padding_mask"].numpy().sum())

    def outputs(self, work):
        batch = self._batch(work)
        states = self._tf.cast(self._encode(batch), "float32").numpy()
        return real_outputs(states, batch["padding_mask"].numpy())
