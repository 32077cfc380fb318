"""Our fine-tuning of a classifier: an epoch from texts, as bin/finetune.py goes through it."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.text_files import read_texts


class Contestant:
    """A unit is a real token.

    Options: model_dir, with a classification head and a tokenizer; precision; labels.
    Work: texts; rows of a step; length, the most tokens of a row.
    """

    def __init__(self, options):
        import keras_bert_suite as kbs
        from keras_bert_suite.tasks.classification import Classification
        from keras_bert_suite.training.optimizers import make_optimizer
        from keras_bert_suite.training.precision import policy_name
        from keras_bert_suite.training.strategies import make_strategy

        self._strategy, self._functions = make_strategy("one_device"), {}
        self._tokenizer = kbs.Tokenizer.from_directory(options["model_dir"])
        self._task = Classification(
            labels=tuple(options["labels"]), text_column="text", label_column="label"
        )
        with self._strategy.scope():
            policy = policy_name(options["precision"])
            self._model = kbs.load_model(options["model_dir"], dtype=policy)
            self._model.compile(make_optimizer(learning_rate=5e-5, num_steps=100_000))

    def _features(self, work):
        from keras_bert_suite.tasks.text_task import TextExample

        examples = [
            TextExample((text,), label)
            for text, label in zip(*read_texts(work["texts"]), strict=True)
        ]
        return self._task.features(examples, self._tokenizer, max_length=work["length"])

    def _function(self, work):
        """The step function and the steps of an epoch; made once, as it is compiled."""
        if work["texts"] not in self._functions:
            from keras_bert_suite.data.bucketing import BucketedSource
            from keras_bert_suite.training.step_function import StepFunction

            source = BucketedSource(self._features(work), global_batch_size=work["rows"], seed=0)
            with self._strategy.scope():
                function = StepFunction(self._model, source, self._strategy)
            self._functions[work["texts"]] = function, source.steps_per_epoch
        return self._functions[work["texts"]]

    def run(self, work):
        function, steps = self._function(work)
        started = time.perf_counter()
        self._features(work)  # a run's texts are tokenized once, before its first epoch
        tokens, _, _ = function(steps)
        seconds = time.perf_counter() - started
        return seconds, float(tokens), {"loss": function.metrics(reset=True)["loss"]}

    def outputs(self, work):
        """The logits of the first texts."""
        texts, _ = read_texts(work["texts"])
        batch = self._tokenizer(texts[: work["compared"]], max_length=work["length"])
        return self._model(batch)["label_logits"].numpy()
