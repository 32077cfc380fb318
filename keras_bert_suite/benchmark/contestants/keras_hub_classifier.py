"""KerasHub's BertTextClassifier: an epoch from texts by `fit`, all rows padded to one length."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.text_files import read_texts


class Contestant:
    """A unit is a real token.

    Options: preset, with a classifier and a tokenizer; dtype, a Keras policy; jit, see
    keras_hub_masked_lm; length, the tokens of every row.
    Work: texts; rows of a step.
    """

    def __init__(self, options):
        import keras
        import keras_hub

        tokenizer = keras_hub.models.BertTokenizer.from_preset(options["preset"])
        self._preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
            tokenizer, sequence_length=options["length"]
        )
        self._model = keras_hub.models.BertTextClassifier.from_preset(
            options["preset"], preprocessor=self._preprocessor, dtype=options["dtype"]
        )
        self._model.compile(
            optimizer=keras.optimizers.AdamW(5e-5, weight_decay=0.01, global_clipnorm=1.0),
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            jit_compile=options["jit"],
        )
        self._datasets = {}

    def _dataset(self, work):
        import tensorflow as tf

        texts, labels = read_texts(work["texts"])
        rows = (texts, [int(label) for label in labels])
        dataset = tf.data.Dataset.from_tensor_slices(rows).shuffle(len(texts), seed=0)
        mask = self._preprocessor(tf.constant(texts))["padding_mask"]
        tokens = float(tf.reduce_sum(tf.cast(mask, tf.int32)))
        return dataset.batch(work["rows"]).prefetch(2), tokens

    def run(self, work):
        if work["texts"] not in self._datasets:
            self._datasets[work["texts"]] = self._dataset(work)
        dataset, tokens = self._datasets[work["texts"]]
        started = time.perf_counter()
        history = self._model.fit(dataset, epochs=1, verbose=0)
        seconds = time.perf_counter() - started
        return seconds, tokens, {"loss": float(history.history["loss"][0])}

    def outputs(self, work):
        """The logits of the first texts."""
        import tensorflow as tf

        texts, _ = read_texts(work["texts"])
        batch = self._preprocessor(tf.constant(texts[: work["compared"]]))
        return tf.cast(self._model(batch, training=False), tf.float32).numpy()
