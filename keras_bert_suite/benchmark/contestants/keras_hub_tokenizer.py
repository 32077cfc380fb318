"""KerasHub's BertTokenizer in tf.data."""

from __future__ import annotations

from keras_bert_suite.benchmark.contestants import own_tokenizer


class Contestant(own_tokenizer.Contestant):
    """As own_tokenizer; options: vocabulary, a vocab.txt; lowercase."""

    def __init__(self, options):
        import keras_hub
        import tensorflow as tf

        self._tf, self._datasets = tf, {}
        self._ids = keras_hub.models.BertTokenizer(
            options["vocabulary"], lowercase=options["lowercase"]
        )
