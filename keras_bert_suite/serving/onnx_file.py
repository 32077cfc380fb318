"""ONNX, by the libraries tf2onnx and onnxruntime (`pip install 'keras-bert-suite[onnx]'`)."""

from __future__ import annotations

import contextlib
import importlib
import logging
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

FILE = "model.onnx"
_CONVERTER, _RUNTIME = "tf2onnx", "onnxruntime"
_OPSET = 18  # of ONNX 1.13, 2022


def write(path: Path, function: Any, weights: Sequence[Any]) -> None:
    """Writes a tf.function with an input signature; its weights become constants.

    Raises:
      ValueError: the libraries are not there, or have no ONNX for one of the operations.
    """
    del weights  # tf2onnx finds them in the function
    tf2onnx = _library(_CONVERTER)
    with _quiet(_CONVERTER):
        model, _ = tf2onnx.convert.from_function(
            function,
            input_signature=function.input_signature,
            opset=_OPSET,
            custom_op_handlers={name: (handler, []) for name, handler in _OPERATIONS.items()},
        )
    checker = _library("onnx.checker")
    try:
        checker.check_model(model)
    except checker.ValidationError as error:
        reason = str(error).strip().splitlines()[0]
        raise ValueError(f"ONNX cannot hold this model: {reason}") from error
    path.write_bytes(model.SerializeToString())


def run(path: Path, requests: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Answers each request, inputs by name, by onnxruntime on the CPU: outputs by name."""
    runtime = _library(_RUNTIME)
    session = runtime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return [dict(zip(names, session.run(None, dict(one)), strict=True)) for one in requests]


def _erfc(context, node, name, arguments):
    """1 - erf, since ONNX has the error function but not its complement."""
    del arguments
    node.type = "Erf"
    one = context.make_const(f"{name}_one", np.array(1, np.float32)).output[0]
    difference = context.insert_new_node_on_output("Sub", node.output[0], f"{name}_complement")
    context.replace_inputs(difference, [one, node.output[0]])


# What tf2onnx does not know.
_OPERATIONS = {"Erfc": _erfc}


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ValueError(
            f"--format=onnx needs the library {name}: pip install 'keras-bert-suite[onnx]'"
        ) from error


@contextlib.contextmanager
def _quiet(name: str):
    """Keeps a library's logger below errors."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)
