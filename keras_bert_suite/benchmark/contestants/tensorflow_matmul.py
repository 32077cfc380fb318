"""TensorFlow's own matrix product: the ceiling of everything that TensorFlow computes."""

from __future__ import annotations

import time


class Contestant:
    """A unit is a FLOP."""

    def __init__(self, options):
        del options
        self._inputs = {}
        import tensorflow as tf

        self._tf = tf
        # One number comes back, so that the clock stops after the work on any device.
        self._multiply = tf.function(
            lambda a, b: tf.reduce_sum(tf.cast(tf.matmul(a, b)[0], tf.float32)), autograph=False
        )

    def run(self, work):
        tf, key = self._tf, (*work["shape"], work["dtype"])
        if key not in self._inputs:
            rows, inner, columns = work["shape"]
            self._inputs[key] = [
                tf.cast(tf.random.stateless_normal(shape, seed=[0, 1]), work["dtype"])
                for shape in ([rows, inner], [inner, columns])
            ]
        inputs = self._inputs[key]
        float(self._multiply(*inputs))
        started = time.perf_counter()
        for _ in range(work["times"]):
            float(self._multiply(*inputs))
        seconds = time.perf_counter() - started
        rows, inner, columns = work["shape"]
        return seconds, 2.0 * rows * inner * columns * work["times"]
