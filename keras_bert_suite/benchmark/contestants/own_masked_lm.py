"""Our masked-LM training: the step function of bin/pretrain.py on batches in memory."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.batches import read_batch

MOST_OUTPUT_ROWS = 4


class BatchesInMemory:
    """A BatchSource that gives the rows of one batch, `rows` at a time, again and again."""

    def __init__(self, batch, rows):
        self._batch, self._rows = batch, rows

    def batches(self, step, *, state=None, pipeline=0, num_pipelines=1, replicas_per_pipeline=1):
        import tensorflow as tf

        dataset = tf.data.Dataset.from_tensor_slices(self._batch)
        return dataset.batch(self._rows, drop_remainder=True).cache().repeat().prefetch(2)


class Contestant:
    """A unit is a real token.

    Options: model_dir, with a masked-LM head; precision, as in bin/pretrain.py; jit; rematerialize.
    Work: batch; rows of a step; steps.
    """

    def __init__(self, options):
        import keras_bert_suite as kbs
        from keras_bert_suite.training.optimizers import make_optimizer
        from keras_bert_suite.training.precision import policy_name
        from keras_bert_suite.training.strategies import make_strategy

        self._strategy, self._functions = make_strategy("one_device"), {}
        with self._strategy.scope():
            policy = policy_name(options["precision"])
            self._model = kbs.load_model(options["model_dir"], dtype=policy)
            for block in self._model.encoder.blocks:
                block.rematerialize = options.get("rematerialize", False)
            self._model.compile(
                make_optimizer(learning_rate=1e-4, num_steps=100_000),
                jit_compile=options.get("jit", False),
                guard_updates=True,
            )

    def run(self, work):
        key = (work["batch"], work["rows"])
        if key not in self._functions:
            from keras_bert_suite.training.step_function import StepFunction

            source = BatchesInMemory(read_batch(work["batch"]), work["rows"])
            with self._strategy.scope():
                self._functions[key] = StepFunction(self._model, source, self._strategy)
        started = time.perf_counter()
        tokens, _, _ = self._functions[key](work["steps"])
        return time.perf_counter() - started, float(tokens)

    def outputs(self, work):
        """The logits of the masked words of the first rows."""
        batch = {k: v[:MOST_OUTPUT_ROWS] for k, v in read_batch(work["batch"]).items()}
        logits = self._model(batch)["mlm_logits"].numpy()
        return logits[batch["prediction_weights"] > 0]
