"""Our first prediction: text to logits."""

from __future__ import annotations

import time


class Contestant:
    """A unit is an answer. Options: model_dir, with a classifier. Work: text."""

    def __init__(self, options):
        import keras_bert_suite as kbs

        self._tokenizer = kbs.Tokenizer.from_directory(options["model_dir"])
        self._model = kbs.load_model(options["model_dir"])

    def run(self, work):
        started = time.perf_counter()
        self._model(self._tokenizer([work["text"]]))["label_logits"].numpy()
        return time.perf_counter() - started, 1.0
