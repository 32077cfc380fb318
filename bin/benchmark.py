#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Measures this package beside its peers, and writes a table, JSON and a picture.

    bin/benchmark.py --suites=encoder,train --output_dir=benchmark/
    bin/benchmark.py --torch_python=torch-venv/bin/python --onnx_python=onnx-venv/bin/python

Every contestant has a warm process, and they take turns: A B C, C B A, ... A ratio is taken within
a round; the table has the median and the quartiles. The machine's matmul rate is measured in the
same rounds, and useful FLOP are counted by formula. Everybody computes from the same random
weights, or those of --model_dir, and what can be compared is (the column "difference").

KerasHub is always there. Other peers live in virtual environments of their own:

    python3 -m venv torch-venv
    torch-venv/bin/pip install -r keras_bert_suite/benchmark/requirements/torch.txt

and so do onnx.txt and model_garden.txt; --google_bert_dir is a checkout of
https://github.com/google-research/bert. A picture needs matplotlib: pip install
'keras-bert-suite[benchmark]'. Figures mean something on a machine that does nothing else.

Leaves in --output_dir: benchmark.json, benchmark.md, benchmark.png.
"""

from __future__ import annotations

import shlex
import sys

from absl import flags

from keras_bert_suite import cli
from keras_bert_suite.benchmark import suites

_SUITES = flags.DEFINE_list("suites", suites.names(), "What to measure.")
_OUTPUT_DIR = flags.DEFINE_string("output_dir", "benchmark", "Where to write.")
_ROUNDS = flags.DEFINE_integer("rounds", 5, "How often each contestant's turn comes.")
_THREADS = flags.DEFINE_integer("threads", None, "Of every contestant (default: all cores).")
_ENCODER = flags.DEFINE_string(
    "encoder", None, "A named size or config.json in the place of the suites' own encoders."
)
_MODEL_DIR = flags.DEFINE_string("model_dir", None, "A checkpoint, not random weights.")
_TOKENIZER = flags.DEFINE_string(
    "tokenizer", None, "Directory with vocab.txt; by default one is learned from the texts."
)
_TEXT = flags.DEFINE_string(
    "text", None, "Glob of text files, a text a line (default: docstrings of installed packages)."
)
_TORCH_PYTHON = flags.DEFINE_string("torch_python", None, "bin/python with PyTorch.")
_ONNX_PYTHON = flags.DEFINE_string("onnx_python", None, "bin/python with onnxruntime.")
_MODEL_GARDEN_PYTHON = flags.DEFINE_string(
    "model_garden_python", None, "bin/python with tf-models-official."
)
_GOOGLE_BERT_DIR = flags.DEFINE_string("google_bert_dir", None, "Checkout of google-research/bert.")
_SCALE = flags.DEFINE_float("scale", 1.0, "Less work, for a trial: a share of the rows.")


def main(argv):
    from keras_bert_suite.benchmark import report, running
    from keras_bert_suite.benchmark.materials import Settings

    told = (_ENCODER, _MODEL_DIR, _TOKENIZER, _TEXT, _TORCH_PYTHON, _ONNX_PYTHON)
    told = (*told, _MODEL_GARDEN_PYTHON, _GOOGLE_BERT_DIR, _THREADS, _SCALE)
    results = running.run_benchmark(
        _SUITES.value,
        Settings(**{flag.name: flag.value for flag in told}),
        output_dir=_OUTPUT_DIR.value,
        rounds=_ROUNDS.value,
        command=shlex.join(sys.argv),
        say=lambda line: print(line, file=sys.stderr, flush=True),
    )
    print(report.text_table(report.table(results)))
    print(*report.notes(results), *(f"Not measured: {x}" for x in results["absent"]), sep="\n")
    print(f"\nbenchmark.json, .md and .png are in {_OUTPUT_DIR.value}.")


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
