#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Turns raw text into the token records that pretrain.py reads.

Text files hold a paragraph (or a sentence, --sentences=lines) a line and a blank line between
documents, or a document each (--documents=file); JSON lines (.jsonl, .json, WikiExtractor's files)
and .parquet a document a row. Text and JSON may be compressed: .gz .bz2 .xz .zst. All CPUs work,
and the output is the same for any number of workers and any --runner.

Examples:
  bin/make_pretraining_data.py --input='texts/*.txt' --tokenizer=vocabulary/ \\
      --output_dir=records/ --eval_fraction=0.02
  bin/make_pretraining_data.py --input='c4/*.json.gz' --tokenizer=vocabulary/ \\
      --output_dir=records/ --sentences=split_lines --deduplicate --drop_junk --min_characters=200

It leaves train-*.tfrecord, eval-*.tfrecord (the held-out documents) and, when all is done,
stats.json in the output directory. Killed, it goes on where it was when it is started again.
"""

from __future__ import annotations

import functools
import time

from absl import flags

from keras_bert_suite import cli

_INPUT = flags.DEFINE_string(
    "input", None, "Globs of files, or directories, separated by commas.", required=True
)
_TOKENIZER = flags.DEFINE_string(
    "tokenizer", None, "Directory with vocab.txt, or any model directory.", required=True
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Directory to make.", required=True)
_NUM_SHARDS = flags.DEFINE_integer("num_shards", None, "By default one for 64 MB, at least 8.")
_WORKERS = flags.DEFINE_integer(
    "workers", None, "Processes; by default one for each 16 MB of input, at most one for each CPU."
)
_RUNNER = flags.DEFINE_enum(
    "runner",
    None,
    ["DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner"],
    "Work as an Apache Beam pipeline; Beam's own options follow after --.",
)
_SENTENCES = flags.DEFINE_enum(
    "sentences",
    "split",
    ["split", "split_lines", "lines"],
    "Split paragraphs (hard-wrapped lines joined), split lines, or take lines as they are.",
)
_DOCUMENTS = flags.DEFINE_enum(
    "documents", "blank_line", ["blank_line", "file"], "What separates documents of text files."
)
_TEXT_FIELD = flags.DEFINE_string("text_field", "text", "JSON key or parquet column of the text.")
_DEDUPLICATE = flags.DEFINE_bool("deduplicate", False, "Keep one of equal documents.")
_MIN_CHARACTERS = flags.DEFINE_integer("min_characters", 0, "Leave out shorter documents.")
_DROP_JUNK = flags.DEFINE_bool("drop_junk", False, "Leave out junk by rules of Gopher and C4.")
_EVAL_FRACTION = flags.DEFINE_float(
    "eval_fraction", 0.0, "Share of documents held out in eval-*.tfrecord, by a hash of their text."
)
_OVERWRITE = flags.DEFINE_bool("overwrite", False, "Replace existing records as a whole.")


def main(argv: list[str]) -> None:
    from keras_bert_suite.data.document_filters import DocumentFilters
    from keras_bert_suite.data.document_reading import TextForm
    from keras_bert_suite.data.progress import byte_progress
    from keras_bert_suite.data.record_report import report
    from keras_bert_suite.data.record_running import run_record_making
    from keras_bert_suite.text.tokenizer import Tokenizer

    start = time.monotonic()
    with byte_progress(None if _RUNNER.value else _INPUT.value, "Tokenizing") as progress:
        stats = run_record_making(
            _INPUT.value,
            runner=_RUNNER.value,
            pipeline_options=argv[1:],
            make_tokenizer=functools.partial(Tokenizer.from_directory, _TOKENIZER.value),
            output_dir=_OUTPUT_DIR.value,
            num_shards=_NUM_SHARDS.value,
            workers=_WORKERS.value,
            form=TextForm(documents=_DOCUMENTS.value, text_field=_TEXT_FIELD.value),
            filters=DocumentFilters(min_characters=_MIN_CHARACTERS.value, junk=_DROP_JUNK.value),
            deduplicate=_DEDUPLICATE.value,
            sentences=_SENTENCES.value,
            eval_fraction=_EVAL_FRACTION.value,
            overwrite=_OVERWRITE.value,
            on_bytes=progress.advance,
        )
    seconds = time.monotonic() - start
    print(report(stats, _OUTPUT_DIR.value, _TOKENIZER.value, progress.total, seconds))


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
