#!/usr/bin/env python3
"""Scores a fine-tuned model on a file with targets.

    bin/evaluate.py --model_dir=tuned/ --data_file=test.csv --output_dir=scores/

The task, its labels and the columns are those of the training; other column names are told by flag.
Prints the table and leaves in --output_dir metrics.json and predictions.jsonl (one line an example,
in the file's order).
"""

from __future__ import annotations

import json
from pathlib import Path

from absl import flags

from keras_bert_suite import cli
from keras_bert_suite.files import atomic_write
from keras_bert_suite.tasks.task import Task

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "What bin/finetune.py wrote.", required=True)
_DATA_FILE = flags.DEFINE_string("data_file", None, "Examples with targets.", required=True)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where to write.", required=True)
_BATCH_SIZE = flags.DEFINE_integer("batch_size", 32, "Examples computed at once.")
_SEQUENCE_LENGTH = flags.DEFINE_integer(
    "sequence_length", None, "Most tokens of an example (default: that of the training)."
)
_PRECISION = flags.DEFINE_enum(
    "precision", "float32", ["float32", "bfloat16", "float16"], "Of the computation."
)
_SKIP_BAD_ROWS = flags.DEFINE_bool(
    "skip_bad_rows", False, "Count rows that cannot be used instead of stopping."
)
_TASK_OPTIONS = Task.define_flags(adjustable_only=True)


def main(argv):
    del argv
    from keras_bert_suite.training.prediction import Predictor, evaluate_file

    predictor = Predictor.load(
        _MODEL_DIR.value,
        options={name: flag.value for name, flag in _TASK_OPTIONS.items()},
        sequence_length=_SEQUENCE_LENGTH.value,
        precision=_PRECISION.value,
        batch_size=_BATCH_SIZE.value,
    )
    result = evaluate_file(predictor, _DATA_FILE.value, skip_bad_rows=_SKIP_BAD_ROWS.value)
    output_dir = Path(_OUTPUT_DIR.value)
    with atomic_write(output_dir / "predictions.jsonl") as file:
        file.writelines(json.dumps(p, ensure_ascii=False) + "\n" for p in result.predictions)
    with atomic_write(output_dir / "metrics.json") as file:
        file.write(json.dumps(result.metrics, indent=2, ensure_ascii=False) + "\n")
    print(predictor.task.report(result.metrics))
    if result.bad_rows:
        rows = "row" if len(result.bad_rows) == 1 else "rows"
        print(f"{len(result.bad_rows)} bad {rows} skipped, the first: {result.bad_rows[0]}")
    print(
        f"\n{result.metrics['num_examples']:,} examples of {_DATA_FILE.value}; metrics.json and "
        f"predictions.jsonl are in {output_dir}. Next: bin/export_model.py "
        f"--model_dir={_MODEL_DIR.value} --export_dir=DIR"
    )


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
