"""Model FLOP utilisation: how much of the machine's matmul rate the training's useful work is."""

from __future__ import annotations

import time

import tensorflow as tf

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.training.clusters import Cluster

_MEASURED_SECONDS = 0.25
_SIDE = {"CPU": 1024, "GPU": 8192}  # of the matrices: the rate grows no more beyond


class Utilisation:
    """Gives the useful FLOP/s of a training as a share of the peak.

    Useful are the multiplications with weight matrices, for real tokens and predicted positions
    alone, 2 FLOP each and twice that again in the backward pass (recomputed activations do not
    count):

        6 * (L * (4 * H^2 + 2 * H * I) + E * H where E differs from H)   for a real token
        6 * (H * E + E * V)                                              for a predicted word

    with L layers, hidden size H, intermediate size I, embedding size E and V entries of the
    vocabulary. The attention scores are left out, as their number depends on how the tokens lie in
    rows; for rows of S tokens they would add S / (6 * H) of the layers' part (3 % for 128 tokens
    and H = 768). So are heads on one vector a row. The figure is thus a little low, never high.

    Source: Chowdhery et al. 2022, arXiv:2204.02311, appendix B (model FLOPs utilisation, 6 FLOP a
    parameter and token); there attention is counted, and all tokens are useful.

    Args:
      config: of the encoder.
      peak_flops: FLOP/s of all devices of the run together.
    """

    def __init__(self, config: EncoderConfig, *, peak_flops: float):
        hidden, embedding = config.hidden_size, config.embedding_size or config.hidden_size
        layer = 4 * hidden**2 + 2 * hidden * config.intermediate_size
        projection = embedding * hidden if embedding != hidden else 0
        self.flops_per_token = 6 * (config.num_layers * layer + projection)
        self.flops_per_prediction = 6 * (hidden * embedding + embedding * config.vocab_size)
        self._peak = peak_flops

    def __call__(self, *, tokens: float, predictions: float, seconds: float) -> float:
        """Gives the share for so many real tokens and predictions in so many seconds."""
        flops = tokens * self.flops_per_token + predictions * self.flops_per_prediction
        return flops / seconds / self._peak


def run_peak(
    strategy, *, cluster: Cluster | None, dtype: str, device_flops: float | None
) -> float | None:
    """Gives the peak FLOP/s of all devices of a run, None where it is not known (a TPU untold).

    Args:
      strategy: of the run.
      cluster: of a multi-worker run.
      dtype: of the matmuls: "float32", "bfloat16" or "float16".
      device_flops: FLOP/s of one device as its maker states it; None measures one.
    """
    kind = _device_kind(strategy)
    if device_flops is None and kind not in _SIDE:
        return None
    flops = device_flops or measured_flops(dtype, side=_SIDE[kind])
    # The replicas on one CPU share its cores; every GPU has its own.
    workers = len(cluster.addresses) if cluster else 1
    return flops * (workers if kind == "CPU" else strategy.num_replicas_in_sync)


def measured_flops(dtype: str, *, side: int, seconds: float = _MEASURED_SECONDS) -> float:
    """Measures FLOP/s of square matmuls, 2 * side^3 each: the best of those within `seconds`.

    Another program on the machine lowers the rate that is found, and raises the utilisation.
    """
    matrix = tf.cast(tf.random.stateless_normal([side, side], seed=[0, 1]), dtype)

    @tf.function(autograph=False)
    def multiply():
        # One number comes back, so that the clock stops after the work on a GPU too.
        return tf.reduce_sum(tf.cast(tf.matmul(matrix, matrix)[0], tf.float32))

    float(multiply())
    best, end = float("inf"), time.perf_counter() + seconds
    while time.perf_counter() < end:
        started = time.perf_counter()
        float(multiply())
        best = min(best, time.perf_counter() - started)
    return 2 * side**3 / best


def _device_kind(strategy) -> str:
    devices = strategy.extended.worker_devices
    return tf.DeviceSpec.from_string(devices[0]).device_type
