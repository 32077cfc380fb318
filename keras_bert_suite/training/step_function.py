"""Many train steps in one compiled call, under any tf.distribute strategy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.source import BatchSource


class StepFunction:
    """Calls `model.train_step` on every replica for a number of steps, batch after batch.

    Keras's own `steps_per_execution` fails under Mirrored and MultiWorker strategies; a plain loop
    around `strategy.run` works under all.

    Args:
      model: compiled; its `train_step` takes a per-replica batch with an int32 "padding_mask".
      source: the batches.
      strategy: the model's.
      step: the first optimizer step.
      state: of `source.state(step)`, or None.
    """

    def __init__(
        self,
        model,
        source: BatchSource,
        strategy,
        *,
        step: int = 0,
        state: Mapping[str, Any] | None = None,
    ):
        self._model, self._strategy = model, strategy
        self._iterator = iter(distributed_batches(source, strategy, step=step, state=state))
        self._run = self._compiled_steps()
        self._read = self._compiled_metrics(reset=False)
        self._read_and_reset = self._compiled_metrics(reset=True)

    def __call__(self, count: int) -> np.ndarray:
        """Runs `count` steps.

        Returns:
          int64 [3]: real tokens, positions with padding, and masked words that were predicted, of
          this process.

        Raises:
          ValueError: what a source's generator raised, such as damaged records.
        """
        try:
            return self._run(self._iterator, tf.constant(count, tf.int32)).numpy()
        except tf.errors.OpError as error:
            raise _explained(error) from error

    def metrics(self, *, reset: bool = False) -> dict[str, float]:
        """Gives the model's metrics over all replicas since the last reset."""
        results = (self._read_and_reset if reset else self._read)()
        # The train step adds the sums of all replicas to each replica's metric: any one of them
        # holds the result, and reading it needs no collective.
        local = self._strategy.experimental_local_results
        return {name: float(local(value)[0]) for name, value in results.items()}

    def learning_rate(self) -> float:
        """Gives the rate of the next update."""
        return float(self._model.optimizer.learning_rate)

    def _compiled_steps(self):
        model, strategy = self._model, self._strategy

        def replica_step(batch):
            model.train_step(batch)
            mask = batch["padding_mask"]
            predicted = tf.reduce_sum(tf.sign(batch.get("prediction_weights", 0.0)))
            return tf.stack([tf.reduce_sum(mask), tf.size(mask), tf.cast(predicted, tf.int32)])

        # Without AutoGraph, as Keras traces its steps: it reads the source again and takes long.
        @tf.function(autograph=False)
        def run(iterator, count):
            def step(index, counted):
                per_replica = strategy.run(replica_step, args=(next(iterator),))
                local = strategy.experimental_local_results(per_replica)
                return index + 1, counted + tf.cast(tf.add_n(list(local)), tf.int64)

            start = (tf.constant(0), tf.zeros([3], tf.int64))
            _, counted = tf.while_loop(
                lambda index, _: index < count, step, start, parallel_iterations=1
            )
            return counted

        return run

    def _compiled_metrics(self, *, reset: bool):
        model, strategy = self._model, self._strategy

        def replica_read():
            results = {
                m.name: tf.cast(tf.reshape(m.result(), ()), tf.float32) for m in model.metrics
            }
            results = {"loss": _total_loss(model, results)} | results
            if reset:
                with tf.control_dependencies(list(results.values())):
                    for metric in model.metrics:
                        metric.reset_state()
            return results

        return tf.function(lambda: strategy.run(replica_read), autograph=False)


def _explained(error: tf.errors.OpError) -> Exception:
    """What to raise for an error of a call: the user's error in it, where there is one."""
    # A ValueError in a Python generator of tf.data arrives with its text inside another error.
    for line in str(error.message).splitlines():
        if "ValueError: " in line:
            return ValueError(line.split("ValueError: ", 1)[1])
    return error


def _total_loss(model, results: Mapping[str, tf.Tensor]) -> tf.Tensor:
    """The weighted sum of the terms' means; a term without targets so far has the mean 0."""
    return tf.add_n([weight * results[f"{t}_loss"] for t, weight in model.term_weights.items()])


def distributed_batches(
    source: BatchSource,
    strategy,
    *,
    step: int = 0,
    state: Mapping[str, Any] | None = None,
):
    """Gives a distributed dataset whose every element is one step's batch on each local replica."""

    def pipeline(context: tf.distribute.InputContext) -> tf.data.Dataset:
        return source.batches(
            step,
            state=state,
            pipeline=context.input_pipeline_id,
            num_pipelines=context.num_input_pipelines,
            replicas_per_pipeline=context.num_replicas_in_sync // context.num_input_pipelines,
        )

    return strategy.distribute_datasets_from_function(pipeline)
