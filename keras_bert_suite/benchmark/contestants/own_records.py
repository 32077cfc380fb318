"""Our pre-training records: what bin/make_pretraining_data.py calls, on one core."""

from __future__ import annotations

import functools
import os
import tempfile
import time


def take_one_core():
    """Keeps this process on one core; libraries imported later make no more threads than that."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


class Contestant:
    """A unit is a byte of text.

    Options: tokenizer, a directory. Work: text, a file of a sentence a line and a blank line
    between documents.
    """

    def __init__(self, options):
        take_one_core()
        from keras_bert_suite.text.tokenizer import Tokenizer

        tokenizer = Tokenizer.from_directory(options["tokenizer"])
        self._make_tokenizer = functools.partial(lambda made: made, tokenizer)

    def run(self, work):
        from keras_bert_suite.data.record_making import make_records

        with tempfile.TemporaryDirectory() as directory:
            started = time.perf_counter()
            make_records(
                work["text"],
                make_tokenizer=self._make_tokenizer,
                output_dir=os.path.join(directory, "records"),
                sentences="lines",
                workers=1,
            )
            seconds = time.perf_counter() - started
        return seconds, float(os.path.getsize(work["text"]))
