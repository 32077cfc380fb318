#!/usr/bin/env -S sh -c 'exec "$(dirname "$(readlink -f "$0")")/_python" "$0" "$@"'
"""Exports a model directory as a SavedModel for TensorFlow Serving and bin/serve.py.

Example:
  bin/export_model.py --model_dir=model/ --export_dir=exported/topics
  bin/serve.py --model_name=topics --model_base_path=exported/topics
  bin/export_model.py --model_dirs=topics=topics-lora/,names=names-houlsby/ --export_dir=exported
  bin/export_model.py --check=exported/topics
  bin/export_model.py --model_dir=model/ --format=onnx --export_dir=onnx/topics

Tokenization and decoding are inside: the SavedModel takes text and gives labels and scores. It
appears as EXPORT_DIR/VERSION when a process of its own has loaded it and has given the same answers
as the model directory; a running server takes it up by itself. --check writes nothing: it says of
any SavedModel which ops it needs and which releases of TF Serving have them.

--format=onnx (pip install 'keras-bert-suite[onnx]') and --format=litert make EXPORT_DIR with the
model as one file instead: token ids in, logits out; the tokenizer's files stand beside it.
"""

from __future__ import annotations

from absl import flags

from keras_bert_suite import cli
from keras_bert_suite.serving.exporting import FORMATS, SAVED_MODEL, export
from keras_bert_suite.serving.releases import reports
from keras_bert_suite.tasks.task import Task

_MODEL_DIR = flags.DEFINE_string("model_dir", None, "Model directory to read.")
_MODEL_DIRS = flags.DEFINE_list(
    "model_dirs",
    None,
    "Instead: tuned parts of one base as NAME=DIRECTORY, in one SavedModel with the base once; "
    "signatures begin with NAME. Rows for `mixed` have the NAME in the input task.",
)
_EXPORT_DIR = flags.DEFINE_string("export_dir", None, "Base path; the version is written below it.")
_CHECK = flags.DEFINE_string(
    "check", None, "Instead: a SavedModel, or a base path of several, to check against TF Serving."
)
_BASE_DIR = flags.DEFINE_string("base_dir", None, "Of a tuned part: its base, if it was moved.")
_MERGE = flags.DEFINE_bool(
    "merge", True, "Put a tuned part into the weights of its base where its method can (LoRA)."
)
_MIXED = flags.DEFINE_bool(
    "mixed", None, "Of --model_dirs: have the signature mixed (default: where methods allow it)."
)
_VERSION = flags.DEFINE_integer("version", None, "Version (default: the highest there plus 1).")
_PRECISION = flags.DEFINE_enum(
    "precision",
    "float32",
    ["float32", "bfloat16"],
    "bfloat16 halves size and, on hardware that has it, time; answers differ in the second digit.",
)
_FORMAT = flags.DEFINE_enum(
    "format",
    SAVED_MODEL,
    [*FORMATS],
    "saved_model: text in, answers out. onnx, litert (TensorFlow Lite): ids in, logits out.",
)
_TASK = flags.DEFINE_enum(
    "task",
    None,
    [*Task.alternatives()],
    "What to serve (default: what the model was fine-tuned for, or its head answers). fill_mask "
    "and cloze need a masked-LM head, embedding and token_vectors any model.",
)
_TASK_OPTIONS = Task.define_flags(adjustable_only=True)


def main(argv: list[str]) -> None:
    del argv
    if _CHECK.value is not None:
        if _MODEL_DIR.value or _EXPORT_DIR.value:
            raise ValueError("--check stands alone: it writes nothing.")
        for report in reports(_CHECK.value):
            print(f"{report}\n")
        return
    result = export(
        model_dir=_MODEL_DIR.value,
        model_dirs=_MODEL_DIRS.value,
        export_dir=_EXPORT_DIR.value,
        format=_FORMAT.value,
        version=_VERSION.value,
        precision=_PRECISION.value,
        mixed=_MIXED.value,
        task=_TASK.value,
        options={name: flag.value for name, flag in _TASK_OPTIONS.items()},
        base_dir=_BASE_DIR.value,
        merge=_MERGE.value,
    )
    print(result.report())


def run():
    cli.run(main)


if __name__ == "__main__":
    run()
