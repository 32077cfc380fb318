"""google-research/bert's create_pretraining_data.py, on one core.

The program is TensorFlow 1's; every name that it uses is in tf.compat.v1, under which it is run
here as it is.
"""

from __future__ import annotations

import importlib
import os
import sys
import tempfile
import time

from keras_bert_suite.benchmark.contestants.own_records import take_one_core


class Contestant:
    """A unit is a byte of text; --dupe_factor=1, the least that it can be asked.

    Options: directory, a checkout; vocabulary, a vocab.txt; lowercase. Work: as own_records.
    """

    def __init__(self, options):
        take_one_core()
        import tensorflow as tf

        sys.modules["tensorflow"] = tf.compat.v1
        sys.path.insert(0, options["directory"])
        # A file of the checkout, no distribution's module.
        self._program = importlib.import_module("create_pretraining_data")
        self._options = options

    def run(self, work):
        with tempfile.TemporaryDirectory() as directory:
            told = {
                "input_file": work["text"],
                "output_file": os.path.join(directory, "examples.tfrecord"),
                "vocab_file": self._options["vocabulary"],
                "do_lower_case": self._options["lowercase"],
                "max_seq_length": 128,
                "max_predictions_per_seq": 20,
                "dupe_factor": 1,
            }
            values = self._program.FLAGS
            values.unparse_flags()
            values(["program", *(f"--{name}={value}" for name, value in told.items())])
            started = time.perf_counter()
            self._program.main(None)
            seconds = time.perf_counter() - started
        return seconds, float(os.path.getsize(work["text"]))
