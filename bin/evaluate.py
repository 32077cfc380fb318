#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Scores a fine-tuned model on a file with targets, or a file of predictions.

    bin/evaluate.py --model_dir=tuned/ --data_file=test.csv --output_dir=scores/
    bin/evaluate.py --task=qa --data_file=dev-v2.0.json --predictions_file=predictions.json \\
        --null_odds_file=null_odds.json --null_threshold=0.5 --output_dir=scores/
    bin/evaluate.py --task=labeling --predictions_file=words_gold_predicted.txt --output_dir=scores/
    bin/evaluate.py --model_dir=pretrained/ --data_file=held_out.txt --output_dir=scores/
    bin/evaluate.py --model_dir=pretrained/ --task=cloze --pattern='{text} It was [MASK].' \\
        --verbalizer='positive=great,negative=terrible' --data_file=test.csv --output_dir=scores/

The task, its labels and the columns are those of the training; other column names are told by flag.
Prints the table and leaves in --output_dir metrics.json and predictions.jsonl (one line an example,
in the file's order), for question answering also the files of the official scripts. Of a file of
predictions, whatever program wrote it, there is metrics.json alone, equal to the official script's.
A model that is only pre-trained is scored by a --task that its masked-LM head can do, or on texts,
one a line, by their pseudo-perplexity (Salazar et al. 2020).
"""

from __future__ import annotations

from absl import flags

from keras_bert_suite import cli, settings
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.prediction_settings import PredictionSettings

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "What finetune.py or pretrain.py wrote.")
_DATA_FILE = flags.DEFINE_string("data_file", None, "Examples with targets; or texts, one a line.")
_TASK = flags.DEFINE_enum("task", None, [*Task.alternatives()], "If other than --model_dir's.")
_PREDICTIONS_FILE = flags.DEFINE_string(
    "predictions_file", None, "Answers to score in the place of --model_dir's."
)
_NULL_ODDS_FILE = flags.DEFINE_string(
    "null_odds_file", None, "How likely each question of --predictions_file has no answer."
)
_OUTPUT_DIR = flags.DEFINE_string("output_dir", None, "Where to write.", required=True)
_SKIP_BAD_ROWS = flags.DEFINE_bool(
    "skip_bad_rows", False, "Count rows that cannot be used instead of stopping."
)
_TASK_OPTIONS = Task.define_flags(adjustable_only=True)
settings.define_flags(PredictionSettings, config=False)


def main(argv):
    del argv
    of_file = bool(_PREDICTIONS_FILE.value)
    if of_file == bool(_MODEL_DIR.value) or (of_file and not _TASK.value):
        raise ValueError("Give either --model_dir, or --predictions_file with --task.")
    if not of_file and (_NULL_ODDS_FILE.value or not _DATA_FILE.value):
        raise ValueError("--model_dir needs --data_file, and has no use for --null_odds_file.")
    options = {name: flag.value for name, flag in _TASK_OPTIONS.items()}
    from keras_bert_suite.training import evaluation_files, prediction, pseudo_likelihood

    if of_file:
        task = Task.from_options(_TASK.value, options)
        metrics = evaluation_files.score_predictions_file(
            _PREDICTIONS_FILE.value,
            _OUTPUT_DIR.value,
            task=task,
            data_file=_DATA_FILE.value,
            null_odds_file=_NULL_ODDS_FILE.value,
        )
        print(task.report(metrics))
        return
    told = {**vars(settings.from_flags(PredictionSettings, config=False))}
    untuned = pseudo_likelihood.is_untuned(_MODEL_DIR.value, base_dir=told["base_dir"])
    if untuned and not _TASK.value:
        scores = pseudo_likelihood.evaluate_text_file(
            _MODEL_DIR.value, _DATA_FILE.value, _OUTPUT_DIR.value, **told
        )
        print(pseudo_likelihood.report(scores))
        return
    told |= {"task": _TASK.value, "options": options}
    predictor = prediction.Predictor.load(_MODEL_DIR.value, **told)
    result = prediction.evaluate_file(
        predictor, _DATA_FILE.value, skip_bad_rows=_SKIP_BAD_ROWS.value
    )
    evaluation_files.write_evaluation(result, _OUTPUT_DIR.value, task=predictor.task)
    print(predictor.task.report(result.metrics))
    if result.bad_rows:
        print(f"Bad rows skipped: {len(result.bad_rows)}, the first: {result.bad_rows[0]}")
    print(
        f"\n{result.metrics['num_examples']:,} examples of {_DATA_FILE.value}; metrics.json and "
        f"predictions.jsonl are in {_OUTPUT_DIR.value}. Next: bin/export_model.py "
        f"--model_dir={_MODEL_DIR.value} --export_dir=DIR"
    )


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
