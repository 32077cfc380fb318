"""The exported graph alone, fed with token ids: what a server can reach at best."""

from __future__ import annotations

from pathlib import Path

from keras_bert_suite.benchmark.contestants.text_files import read_texts


class Contestant:
    """A unit is a text.

    Options: model_dir; version_dir, its export; texts.
    Work: rows of a batch, 1 or that of serving/throughput.py; seconds.
    """

    def __init__(self, options):
        from keras_bert_suite.serving.throughput import Graph

        texts, _ = read_texts(options["texts"])
        self._graph = Graph(Path(options["model_dir"]), Path(options["version_dir"]), texts)

    def run(self, work):
        seconds = work["seconds"]
        if work["rows"] == 1:
            p50 = self._graph.p50(seconds)
            return p50, 1.0, {"p50 ms": 1e3 * p50}
        return seconds, self._graph.rate(seconds) * seconds
