"""KerasHub's first prediction: text to logits, called eagerly (its `predict` compiles first)."""

from __future__ import annotations

import time


class Contestant:
    """A unit is an answer. Options: preset, with a classifier. Work: text."""

    def __init__(self, options):
        import keras_hub

        tokenizer = keras_hub.models.BertTokenizer.from_preset(options["preset"])
        # sequence_length bounds the row; it is padded to it, as KerasHub always does.
        preprocessor = keras_hub.models.BertTextClassifierPreprocessor(
            tokenizer, sequence_length=options["length"]
        )
        self._model = keras_hub.models.BertTextClassifier.from_preset(
            options["preset"], preprocessor=preprocessor
        )

    def run(self, work):
        started = time.perf_counter()
        batch = self._model.preprocessor([work["text"]])
        self._model(batch, training=False).numpy()
        return time.perf_counter() - started, 1.0
