"""A model as one file for a runtime without TensorFlow: token ids in, logits out.

    EXPORT_DIR/
      model.onnx or model.tflite   the encoder and the heads; weights in float32
      vocab.txt, ...               the tokenizer, in Hugging Face's files
      serving.json                 inputs, outputs, task and labels

Text and decoding stay outside: neither runtime has the tokenizer's operations. Rows are padded to
any length up to the model's max_positions, and do not influence each other.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import keras_bert_suite
from keras_bert_suite.files import atomic_directory
from keras_bert_suite.serving import artifact_check, export_sources, litert_file, onnx_file
from keras_bert_suite.serving.description import describe_port
from keras_bert_suite.serving.export_sources import ExportSource
from keras_bert_suite.serving.samples import SAMPLES, sample_inputs
from keras_bert_suite.serving.signatures import Signature, core_function, token_specs
from keras_bert_suite.serving.versions import DESCRIPTION_FILE

FORMATS: Mapping[str, Any] = {"onnx": onnx_file, "litert": litert_file}
_TOLERANCE = 1e-5


@dataclasses.dataclass(frozen=True, kw_only=True)
class PortableResult:
    """What was written.

    Attributes:
      path: the directory.
      file: the model's file in it.
      difference: the largest difference of its answers from the Keras model's on sample texts.
    """

    path: Path
    file: str
    difference: float

    def report(self) -> str:
        """The same for people."""
        return (
            f"Wrote {self.path / self.file}; its answers differ from the model's by at most "
            f"{self.difference:.1e}. {DESCRIPTION_FILE} beside it tells inputs and outputs, the "
            "other files are the tokenizer's."
        )


def export_portable(
    model_dir: str | os.PathLike,
    export_dir: str | os.PathLike,
    *,
    format: str,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    base_dir: str | os.PathLike | None = None,
    merge: bool = True,
) -> PortableResult:
    """Writes a directory with the model as one file, when the file gives the model's answers.

    Args:
      model_dir: a model directory.
      export_dir: the directory to make; must not exist.
      format: "onnx", or "litert" (TensorFlow Lite's .tflite).
      task, options, base_dir, merge: see `export_model`.

    Raises:
      ValueError: what is wrong with the model directory or an argument, no operation of the runtime
        for one of the model's, or answers that differ from the model's.
      OSError: something could not be read or written.
    """
    if format not in FORMATS:
        raise ValueError(f"format must be one of {', '.join(FORMATS)}. Received: {format!r}")
    source = export_sources.load(
        model_dir, "float32", merge=merge, task=task, options=options, base_dir=base_dir
    )
    kind = FORMATS[format]
    function = core_function(source.model, source.task)
    with atomic_directory(export_dir, replace=False) as folder:
        kind.write(folder / kind.FILE, function, [one.value for one in source.model.weights])
        requests = _requests(source)
        expected = [_answer(function, request) for request in requests]
        difference = artifact_check.compare(
            [(format, request) for request in requests],
            expected,
            kind.run(folder / kind.FILE, requests),
            tolerance=_TOLERANCE,
        )
        source.tokenizer.save(folder, max_length=source.max_length)
        description = _description(source, format, expected[0])
        (folder / DESCRIPTION_FILE).write_text(description, encoding="utf-8")
    return PortableResult(path=Path(export_dir), file=kind.FILE, difference=difference)


def _requests(source: ExportSource) -> list[dict[str, np.ndarray]]:
    signature = Signature(specs=token_specs(source.task), compute=dict)
    return [sample_inputs(source, signature, list(texts)) for texts in (SAMPLES[:1], SAMPLES)]


def _answer(function: Any, request: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    inputs = [tf.constant(request[spec.name]) for spec in function.input_signature]
    return {name: tensor.numpy() for name, tensor in function(*inputs).items()}


def _description(source: ExportSource, format: str, answer: Mapping[str, np.ndarray]) -> str:
    inputs = {
        spec.name: describe_port(spec.name, spec.dtype.name, [None, None])
        for spec in token_specs(source.task)
    }
    outputs = {
        name: describe_port(name, array.dtype.name, [None] * array.ndim)
        for name, array in answer.items()
    }
    values = {
        "format": format,
        "task": source.task and source.task.to_config(),
        "max_length": source.max_length,
        "inputs": inputs,
        "outputs": outputs,
        "keras_bert_suite": keras_bert_suite.__version__,
        "encoder": source.model.encoder.config.to_huggingface(),
    }
    return json.dumps(values, indent=2, ensure_ascii=False) + "\n"
