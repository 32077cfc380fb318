"""The Rust tokenizers of Hugging Face, as fast as they go: in batches, without offsets."""

from __future__ import annotations

import time

from keras_bert_suite.benchmark.contestants.own_tokenizer import fingerprints
from keras_bert_suite.benchmark.contestants.text_files import read_texts


class Contestant:
    """As own_tokenizer, outside tf.data; options: vocabulary, a vocab.txt; lowercase."""

    def __init__(self, options):
        from tokenizers import BertWordPieceTokenizer

        made = BertWordPieceTokenizer(options["vocabulary"], lowercase=options["lowercase"])
        self._tokenizer, self._batches = made._tokenizer, {}

    def run(self, work):
        if work["texts"] not in self._batches:
            texts, _ = read_texts(work["texts"])
            size = float(sum(len(text.encode()) for text in texts))
            starts = range(0, len(texts), work["rows"])
            self._batches[work["texts"]] = [texts[i : i + work["rows"]] for i in starts], size
        batches, size = self._batches[work["texts"]]
        started = time.perf_counter()
        for batch in batches:
            self._tokenizer.encode_batch_fast(batch, add_special_tokens=False)
        return time.perf_counter() - started, size

    def outputs(self, work):
        texts, _ = read_texts(work["texts"])
        encoded = self._tokenizer.encode_batch(texts[: work["compared"]], add_special_tokens=False)
        return fingerprints([one.ids for one in encoded])
