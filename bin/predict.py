#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Answers JSON lines, or a file such as the training's, with a fine-tuned model.

    bin/predict.py --model_dir=tuned/ --input=questions.jsonl --output=answers.jsonl
    bin/predict.py --model_dir=tuned/ --input=test.tsv --output=answers.jsonl
    echo '{"text": "Where is my card?"}' | bin/predict.py --model_dir=tuned/
    echo '{"text": "Paris is the [MASK] of France."}' | bin/predict.py --model_dir=bert/ \\
        --task=fill_mask

Each line in is an object with the fields the model learnt from (`text`, or `text_a` and `text_b`,
or the training file's own column names); a file may also have any format that the task learns from
(TSV, CSV, CoNLL, SQuAD's JSON, ...), with targets or without. Each line out is the same object with
a "prediction" (an input field of this name is replaced). Nothing but JSON lines goes to stdout. A
line that cannot be answered stops the run with its number, and --output stays as it was;
--skip_bad_rows leaves it out.
"""

from __future__ import annotations

import contextlib
import json
import sys

from absl import flags

from keras_bert_suite import cli, settings
from keras_bert_suite.files import atomic_write
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.prediction_settings import PredictionSettings

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "What bin/finetune.py wrote.", required=True)
_INPUT = flags.DEFINE_string(
    "input", "-", "JSON lines, or a file as the task learns from; - is stdin, JSON lines."
)
_OUTPUT = flags.DEFINE_string("output", "-", "JSON lines; - is stdout.")
_LINES_AT_A_TIME = flags.DEFINE_integer(
    "lines_at_a_time",
    1024,
    "Lines that are read before they are answered together; 1 answers each line as it comes.",
    lower_bound=1,
)
_SKIP_BAD_ROWS = flags.DEFINE_bool(
    "skip_bad_rows", False, "Leave out lines that cannot be answered instead of stopping."
)
_TASK = flags.DEFINE_enum(
    "task",
    None,
    [*Task.alternatives()],
    "What to answer (default: what the model was fine-tuned for, or its head answers). fill_mask "
    "and cloze need a masked-LM head, embedding and token_vectors any model.",
)
settings.define_flags(PredictionSettings, config=False)
_TASK_OPTIONS = Task.define_flags(adjustable_only=True)


def main(argv):
    del argv
    from keras_bert_suite.training import prediction, prediction_files

    predictor = prediction.Predictor.load(
        _MODEL_DIR.value,
        task=_TASK.value,
        options={name: flag.value for name, flag in _TASK_OPTIONS.items()},
        **vars(settings.from_flags(PredictionSettings, config=False)),
    )
    from_stdin, to_stdout = _INPUT.value == "-", _OUTPUT.value == "-"
    source = "stdin" if from_stdin else _INPUT.value
    bad_rows = BadRows(skip=_SKIP_BAD_ROWS.value)
    told = {"lines_at_a_time": _LINES_AT_A_TIME.value, "bad_rows": bad_rows}
    count = 0
    with contextlib.ExitStack() as stack:
        if from_stdin:
            answers = prediction_files.predict_lines(
                predictor, sys.stdin.buffer, source=source, **told
            )
        else:
            answers = prediction_files.predict_file(predictor, source, **told)
        out = sys.stdout if to_stdout else stack.enter_context(atomic_write(_OUTPUT.value))
        for count, answer in enumerate(answers, start=1):
            out.write(json.dumps(answer, ensure_ascii=False) + "\n")
            if to_stdout and count % _LINES_AT_A_TIME.value == 0:
                out.flush()
    where = "" if to_stdout else f" and written to {_OUTPUT.value}"
    print(f"{count:,} line{'s' * (count != 1)} of {source} answered{where}.", file=sys.stderr)
    if bad_rows.messages:
        skipped = f"{len(bad_rows.messages):,} skipped, the first: {bad_rows.messages[0]}"
        print(skipped, file=sys.stderr)


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
