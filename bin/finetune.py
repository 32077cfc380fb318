#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Fine-tunes a model for a task and writes a model directory with its score.

    bin/finetune.py --task=classification --init_from=pretrained/ \\
        --train_file=train.csv --dev_file=dev.csv --label_column=category --output_dir=tuned/

    bin/finetune.py --task=labeling --init_from=pretrained/ --train_file=train.conll \\
        --dev_file=dev.conll --tag_column=-1 --output_dir=tuned/

Files are TSV (tabs, no quoting; .txt too), CSV (quoted as RFC 4180 has it; commas, semicolons or
tabs) with a header, or JSON: an object a line (.jsonl), or in .json one list of objects too;
columns `text`, or `text_a` and `text_b`, and `label`, other names by flag. For labeling: columns
of CoNLL, CoNLL-U (.conllu), or JSON lines with `tokens` and `tags`. After each epoch the dev file
is scored; the best weights are kept. Ctrl-C saves a state; the same command goes on from it.
Several seeds or learning rates (--seed=1,2,3) are a run each, kept below --output_dir/runs/.
The run's settings (not the task's) may stand in a JSON file, --config; a flag overrides it.

Leaves in --output_dir: the model directory, metrics.json, training.json, dev_predictions.jsonl,
report.html (curves), log.jsonl, logs/ (TensorBoard) and checkpoints/ (training state).
"""

from __future__ import annotations

import sys

from absl import flags

from keras_bert_suite import cli, settings
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.finetune_settings import FinetuneSettings, RunSettings
from keras_bert_suite.tuning.method import TuningMethod

_TASKS = [name for name in Task.alternatives() if Task.named(name).learns]
_TASK = flags.DEFINE_enum("task", "classification", _TASKS, "What to learn.")
_TASK_OPTIONS = Task.define_flags()
_TUNING = flags.DEFINE_enum("tuning", "full", [*TuningMethod.alternatives()], "What of it learns.")
_TUNING_OPTIONS = TuningMethod.define_flags()
settings.define_flags(RunSettings)


def main(argv):
    del argv
    task = Task.from_options(_TASK.value, {k: f.value for k, f in _TASK_OPTIONS.items()})
    tuning = TuningMethod.from_options(
        _TUNING.value, {k: f.value for k, f in _TUNING_OPTIONS.items()}
    )

    run_settings = settings.from_flags(RunSettings)
    wanted = FinetuneSettings(task=task, tuning=tuning, **vars(run_settings))

    from keras_bert_suite.training.finetuning import finetune

    result = finetune(wanted, say=lambda line: print(line, file=sys.stderr, flush=True))
    if result.training.interrupted:
        return result.training.exit_status
    print(result.summary(wanted))
    return 0


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
