#!/usr/bin/env python3
"""Turns raw text into the token records that pretrain.py reads.

Text files hold one paragraph (or one sentence, --sentences=lines) a line and a blank line between
documents; JSON lines (.jsonl, .json) hold a document under "text". Both may be gzipped. Everything
streams: memory does not grow with the corpus, and the output is the same for any number of workers.

Example:
  bin/make_pretraining_data.py --input='texts/*.txt' --tokenizer=vocabulary/ \\
      --output_dir=records/ --num_shards=16 --eval_fraction=0.02

It leaves train-*.tfrecord, eval-*.tfrecord (the held-out documents) and stats.json in the output
directory, which appears when all is done, or not at all.
"""

from __future__ import annotations

import functools
import os
import time

from absl import flags

from keras_bert_suite import cli

_INPUT = flags.DEFINE_string(
    "input", None, "Globs of text or JSON-lines files, separated by commas.", required=True
)
_TOKENIZER = flags.DEFINE_string(
    "tokenizer", None, "Directory with vocab.txt, or any model directory.", required=True
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Directory to make.", required=True)
_NUM_SHARDS = flags.DEFINE_integer(
    "num_shards", 8, "Training shards; aim at no more than 32 MB each."
)
_WORKERS = flags.DEFINE_integer(
    "workers", None, "Processes; by default one for each 16 MB of input, at most one for each CPU."
)
_SENTENCES = flags.DEFINE_enum(
    "sentences",
    "split",
    ["split", "lines"],
    "Whether paragraphs are split into sentences or each line is one.",
)
_EVAL_FRACTION = flags.DEFINE_float(
    "eval_fraction", 0.0, "Share of documents held out in eval-*.tfrecord, by a hash of their text."
)
_OVERWRITE = flags.DEFINE_bool(
    "overwrite", False, "Replace an existing record directory as a whole."
)


def main(argv: list[str]) -> None:
    del argv
    from keras_bert_suite.data.progress import byte_progress
    from keras_bert_suite.data.record_making import default_workers, make_records
    from keras_bert_suite.text.tokenizer import Tokenizer

    start = time.monotonic()
    with byte_progress(_INPUT.value, "Tokenizing") as progress:
        stats = make_records(
            _INPUT.value,
            make_tokenizer=functools.partial(Tokenizer.from_directory, _TOKENIZER.value),
            output_dir=_OUTPUT_DIR.value,
            num_shards=_NUM_SHARDS.value,
            workers=_WORKERS.value if _WORKERS.present else default_workers(_INPUT.value),
            sentences=_SENTENCES.value,
            eval_fraction=_EVAL_FRACTION.value,
            overwrite=_OVERWRITE.value,
            on_bytes=progress.advance,
        )
    seconds = time.monotonic() - start
    print(summary(stats, output_dir=_OUTPUT_DIR.value, tokenizer=_TOKENIZER.value))
    print(f"{progress.total / 1e6:.1f} MB of text in {seconds:.0f} s.")


def summary(stats: dict, *, output_dir: str, tokenizer: str) -> str:
    """Says what was written where and which command comes next."""
    parts = [
        f"{stats[split]['documents']:,} documents, {stats[split]['sentences']:,} sentences, "
        f"{stats[split]['tokens']:,} tokens in {count} {split} shard{'s' * (count > 1)}"
        for split, count in stats["shards"].items()
    ]
    train = os.path.join(output_dir, "train-*.tfrecord")
    held_out = os.path.join(output_dir, "eval-*.tfrecord")
    evaluation = f" --eval_data='{held_out}'" if "eval" in stats["shards"] else ""
    return (
        f"Wrote {'; '.join(parts)} and stats.json to {output_dir} "
        f"({stats['train']['unknown_token_rate']:.3%} unknown tokens). Next: bin/pretrain.py "
        f"--train_data='{train}'{evaluation} --tokenizer={tokenizer} --output_dir=..."
    )


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
