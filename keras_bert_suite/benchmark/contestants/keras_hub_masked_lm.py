"""KerasHub's BertMaskedLM, trained by `fit` on padded rows."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.batches import read_batch


class Contestant:
    """A unit is a real token.

    Options: preset, a directory; dtype, a Keras policy; jit, "auto" (Keras' default: XLA) or false.
    Work: batch; rows of a step; steps.
    """

    def __init__(self, options):
        import keras
        import keras_hub

        backbone = keras_hub.models.BertBackbone.from_preset(
            options["preset"], dtype=options["dtype"]
        )
        self._model = keras_hub.models.BertMaskedLM(backbone=backbone, preprocessor=None)
        self._model.compile(
            optimizer=keras.optimizers.AdamW(1e-4, weight_decay=0.01, global_clipnorm=1.0),
            jit_compile=options["jit"],
        )
        self._datasets = {}

    def _dataset(self, work):
        import tensorflow as tf

        batch = read_batch(work["batch"])
        features = {key: batch[key] for key in ("token_ids", "segment_ids", "padding_mask")}
        features["mask_positions"] = batch["prediction_positions"]
        rows = (features, batch["prediction_ids"], batch["prediction_weights"])
        dataset = tf.data.Dataset.from_tensor_slices(rows)
        dataset = dataset.batch(work["rows"], drop_remainder=True).cache().repeat().prefetch(2)
        # All rows come equally often.
        tokens = float(batch["padding_mask"].sum()) / len(batch["token_ids"]) * work["rows"]
        return dataset, tokens

    def run(self, work):
        key = (work["batch"], work["rows"])
        if key not in self._datasets:
            self._datasets[key] = self._dataset(work)
        dataset, tokens = self._datasets[key]
        steps = work["steps"]
        started = time.perf_counter()
        self._model.fit(dataset, epochs=1, steps_per_epoch=steps, verbose=0)
        return time.perf_counter() - started, steps * tokens
