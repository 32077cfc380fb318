#!/usr/bin/env python3
"""Fine-tunes a model for a task and writes a model directory with its score.

    bin/finetune.py --task=classification --init_from=pretrained/ \\
        --train_file=train.csv --dev_file=dev.csv --label_column=category --output_dir=tuned/

Files are TSV (tabs, no quoting), CSV (quoted as RFC 4180 has it) with a header, or JSON lines;
columns `text`, or `text_a` and `text_b`, and `label`, other names by flag. After each epoch the dev
file is scored; the best weights are kept. Ctrl-C saves a state; the same command goes on from it.

Leaves in --output_dir: the model directory, metrics.json, training.json, dev_predictions.jsonl,
log.jsonl, logs/ (TensorBoard) and checkpoints/ (training state).
"""

from __future__ import annotations

import sys

from absl import flags

from keras_bert_suite import cli
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.tuning.method import TuningMethod

_TASK = flags.DEFINE_enum("task", "classification", [*Task.alternatives()], "What to learn.")
_TASK_OPTIONS = Task.define_flags()
_TUNING = flags.DEFINE_enum("tuning", "full", [*TuningMethod.alternatives()], "What of it learns.")
_TUNING_OPTIONS = TuningMethod.define_flags()
_RUN = {
    "init_from": flags.DEFINE_string(
        "init_from", None, "Model directory to begin with.", required=True
    ),
    "from_scratch": flags.DEFINE_bool(
        "from_scratch", False, "Take --init_from's config and tokenizer, but fresh weights."
    ),
    "train_file": flags.DEFINE_string("train_file", None, "Examples to learn.", required=True),
    "dev_file": flags.DEFINE_string("dev_file", None, "Examples to choose the best weights by."),
    "output_dir": flags.DEFINE_string("output_dir", None, "Where to write.", required=True),
    "epochs": flags.DEFINE_integer(
        "epochs", None, "Passes over --train_file (default: the tuning method's; full: 3)."
    ),
    "learning_rate": flags.DEFINE_float(
        "learning_rate", None, "The peak (default: the tuning method's; full: 3e-5)."
    ),
    "batch_size": flags.DEFINE_integer("batch_size", 32, "Examples of a step, over all replicas."),
    "sequence_length": flags.DEFINE_integer(
        "sequence_length", 128, "Most tokens of an example; longer ones are cut."
    ),
    "warmup_fraction": flags.DEFINE_float(
        "warmup_fraction", 0.1, "Share of the steps in which the learning rate rises."
    ),
    "weight_decay": flags.DEFINE_float("weight_decay", 0.01, "Not on LayerNorm and biases."),
    "clip_norm": flags.DEFINE_float("clip_norm", 1.0, "Global norm of the gradient; 0: no limit."),
    "seed": flags.DEFINE_integer("seed", 0, "Of the head, the dropout and the order."),
    "strategy": flags.DEFINE_enum(
        "strategy", "one_device", ["one_device", "mirrored", "multi_worker", "tpu"], "Devices."
    ),
    "precision": flags.DEFINE_enum(
        "precision", "float32", ["float32", "bfloat16", "float16"], "Of the computation."
    ),
    "skip_bad_rows": flags.DEFINE_bool(
        "skip_bad_rows", False, "Count rows that cannot be used instead of stopping."
    ),
    "checkpoint_every": flags.DEFINE_integer(
        "checkpoint_every", None, "Steps between two training states (default: one an epoch)."
    ),
}


def main(argv):
    del argv
    task = Task.from_options(_TASK.value, {k: f.value for k, f in _TASK_OPTIONS.items()})
    tuning = TuningMethod.from_options(
        _TUNING.value, {k: f.value for k, f in _TUNING_OPTIONS.items()}
    )

    from keras_bert_suite.training.finetuning import FinetuneSettings, finetune

    settings = FinetuneSettings(
        task=task, tuning=tuning, **{name: flag.value for name, flag in _RUN.items()}
    )
    result = finetune(settings, say=lambda line: print(line, file=sys.stderr, flush=True))
    if result.training.interrupted:
        return result.training.exit_status
    print(result.summary(settings))
    return 0


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
