"""Our encoder, as a user calls it: loaded from a model directory, in a tf.function."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.batches import read_batch, real_outputs


class Contestant:
    """A unit is a real token.

    Options: model_dir; dtype, "float32" or "bfloat16" (the weights are then stored in it).
    """

    def __init__(self, options):
        import tensorflow as tf

        import keras_bert_suite as kbs

        self._tf = tf
        encoder = kbs.load_encoder(options["model_dir"], dtype=options["dtype"])
        keys = ("token_ids", "segment_ids", "padding_mask")
        signature = {key: tf.TensorSpec([None, None], tf.int32) for key in keys}
        self._encode = tf.function(
            lambda batch: encoder(batch, training=False)["sequence_output"],
            input_signature=[signature],
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
