#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Compares five ways of pre-training by a downstream task and prints one table.

Rungs: subword, whole_word, span (all three with two segments and next sentences), single_segment,
sbo. Each is pre-trained on the same text for the same number of steps with several seeds, then
fine-tuned; the table holds mean and deviation.

Example (minutes, a tiny encoder):
  bin/ladder.py --text='novels/*.txt' --task=classification --train_file=train.csv \\
      --dev_file=dev.csv --num_steps=600 --seeds=3 --output_dir=ladder/

Cells that are finished are kept: the same command goes on where it was stopped. --output_dir gets
vocabulary/, records/, RUNG/seed-N/ (pretrained/, tuned/, result.json), ladder.json and ladder.md.
recipes/ladder.json holds the settings as a --config.
"""

from __future__ import annotations

import sys

from absl import flags

from keras_bert_suite import cli, settings
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.ladder_settings import LadderSettings

_TASK = flags.DEFINE_enum("task", "classification", [*Task.alternatives()], "The downstream task.")
_TASK_OPTIONS = Task.define_flags()
settings.define_flags(LadderSettings)


def main(argv: list[str]) -> int:
    del argv
    task: Task = Task.from_options(_TASK.value, {k: f.value for k, f in _TASK_OPTIONS.items()})
    wanted = settings.from_flags(LadderSettings)
    from keras_bert_suite.training.ladder import climb

    outcome = climb(wanted, task, say=lambda line: print(line, file=sys.stderr, flush=True))
    if outcome.exit_status:
        print("Stopped. Next: the same command goes on from there.", file=sys.stderr)
        return outcome.exit_status
    print(outcome.table)
    print(f"ladder.json and ladder.md are in {wanted.output_dir}.")
    return 0


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
