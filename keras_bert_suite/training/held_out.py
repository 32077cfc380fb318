"""The losses and accuracies of a model on held-out batches."""

from __future__ import annotations

from collections import defaultdict

import tensorflow as tf


class HeldOut:
    """Evaluates a model's heads on one finite dataset: sum over weight of every loss and metric.

    Every process computes the whole dataset on one of its replicas: no collective is needed, all
    workers get the same numbers, and the number of replicas cannot change them.

    Args:
      model: has `loss_terms(outputs, batch)` and `metric_terms(outputs, batch)`, each
        {name: (sum, weight)}.
      dataset: batches as the model takes them.
    """

    def __init__(self, model, dataset: tf.data.Dataset):
        self._dataset = dataset

        @tf.function(reduce_retracing=True, autograph=False)
        def sums(batch):
            outputs = model(batch, training=False)
            losses = {f"{k}_loss": v for k, v in model.loss_terms(outputs, batch).items()}
            return losses | model.metric_terms(outputs, batch)

        self._sums = sums

    def __call__(self, step: int | None = None) -> dict[str, float]:
        """Gives {name: mean}: losses in nats, accuracies in [0, 1]. `step` has no influence."""
        del step  # a Trainer passes it
        totals: dict[str, float] = defaultdict(float)
        weights: dict[str, float] = defaultdict(float)
        for batch in self._dataset:
            for name, (total, weight) in self._sums(batch).items():
                totals[name] += float(total)
                weights[name] += float(weight)
        return {name: totals[name] / weights[name] for name in totals if weights[name]}
