"""Layers that keep no activations for the backward pass and compute them again there."""

from __future__ import annotations

import threading
from collections.abc import Callable

import tensorflow as tf


class _Scope(threading.local):
    """What dropout asks for its seeds; a thread of its own for each replica."""

    record: list[tf.Tensor] | None = None
    replay: list[tf.Tensor] | None = None


_scope = _Scope()


def recomputed(function: Callable[[tf.Tensor], tf.Tensor]) -> Callable[[tf.Tensor], tf.Tensor]:
    """Returns `function` without the memory of its inner activations.

    In the backward pass it is computed once more from its input, with the dropout masks of the
    first time: the seeds are kept, which are two integers a layer. Of N layers in a row N inputs
    and one layer's activations are held at a time, for a third more work. Works in eager mode, in
    graphs and under XLA, where the recomputation waits for the gradient that comes in.

    Args:
      function: of one tensor; other tensors that it closes over get no gradient, variables do.
        Call the result once.

    Source: Chen et al. 2016, arXiv:1604.06174.
    """
    seeds: list[tf.Tensor] = []
    calls: list[bool] = []

    def run(inputs):
        before = _scope.record, _scope.replay
        _scope.record, _scope.replay = (None, list(seeds)) if calls else (seeds, None)
        calls.append(True)
        try:
            return function(inputs)
        finally:
            _scope.record, _scope.replay = before

    return tf.recompute_grad(run)


def dropout_seed(draw: Callable[[], tf.Tensor]) -> tf.Tensor:
    """Returns a new seed, or in a recomputation the one that was drawn the first time."""
    if _scope.replay is not None:
        return _scope.replay.pop(0)
    seed = draw()
    if _scope.record is not None:
        _scope.record.append(seed)
    return seed
