"""TensorFlow Model Garden's BertEncoderV2 (Keras 2) in a tf.function."""

from __future__ import annotations

import os
import time

from keras_bert_suite.benchmark.contestants.batches import read_batch


class Contestant:
    """A unit is a real token; the batch is computed as it is padded. The weights are random.

    Options: config, the fields of our EncoderConfig; dtype, "float32" or "bfloat16".
    """

    def __init__(self, options):
        os.environ["TF_USE_LEGACY_KERAS"] = "1"
        import tensorflow as tf
        from official.nlp.modeling.networks import BertEncoderV2

        self._tf, config = tf, options["config"]
        if options["dtype"] == "bfloat16":
            tf.keras.mixed_precision.set_global_policy("mixed_bfloat16")
        encoder = BertEncoderV2(
            vocab_size=config["vocab_size"],
            hidden_size=config["hidden_size"],
            num_layers=config["num_layers"],
            num_attention_heads=config["num_heads"],
            max_sequence_length=config["max_positions"],
            type_vocab_size=config["num_segments"],
            inner_dim=config["intermediate_size"],
            inner_activation=lambda x: tf.nn.gelu(x, approximate=True),
        )
        self._encode = tf.function(
            lambda inputs: encoder(inputs, training=False)["sequence_output"], autograph=False
        )

    def run(self, work):
        batch = read_batch(work["batch"])
        inputs = {
            "input_word_ids": self._tf.constant(batch["token_ids"]),
            "input_mask": self._tf.constant(batch["padding_mask"]),
            "input_type_ids": self._tf.constant(batch["segment_ids"]),
        }
        times = work.get("times", 1)
        started = time.perf_counter()
        for _ in range(times):
            self._encode(inputs).numpy()
        seconds = time.perf_counter() - started
        return seconds, times * float(batch["padding_mask"].sum())
