#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Pre-trains a BERT on token records: masked words, next sentences and sentence order.

Example:
  bin/pretrain.py --train_data='records/train-*' --eval_data='records/eval-*' \\
      --tokenizer=vocabulary/ --encoder=small --num_steps=20000 --output_dir=pretrained/

Hyper-parameters may stand in a JSON file under their flags' names (--config); a flag overrides it.
The output directory becomes a model directory that finetune.py, export_model.py and Hugging Face's
transformers read; report.html (curves), log.jsonl and logs/ (TensorBoard) tell how it went.

To go on from a model that exists, of any format that load_model reads: --init_from=DIR in place of
--encoder and --tokenizer. New words come first, by bin/edit_model.py --add_words; the records are
then made with the tokenizer of its output.

Ctrl-C, SIGTERM and even kill -9 lose nothing that matters: the same command goes on from the newest
state in OUTPUT_DIR/checkpoints and ends with the weights that an uninterrupted run would have had
(bit by bit on a CPU). Run again after the end, it says so and changes nothing.

Several workers: start the command on each with --strategy=multi_worker and TF_CONFIG, or by SLURM's
srun, or as pods of Kubernetes (--cluster_resolver); the output directory must be on a file system
that they share. When a worker is gone the others stop within 30 s; the same command on all goes on.
"""

from __future__ import annotations

from keras_bert_suite import cli, settings
from keras_bert_suite.training.pretraining_settings import PretrainingSettings

settings.define_flags(PretrainingSettings)


def main(argv: list[str]) -> int:
    del argv
    wanted = settings.from_flags(PretrainingSettings)
    from keras_bert_suite.training.pretraining import pretrain

    outcome = pretrain(wanted, say=print)
    print(outcome.summary)
    return outcome.exit_status


def run() -> None:
    cli.run(main)


if __name__ == "__main__":
    run()
