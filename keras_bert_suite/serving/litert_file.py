"""LiteRT, once called TensorFlow Lite: TensorFlow's own runtime for phones and small devices."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

FILE = "model.tflite"


def write(path: Path, function: Any, weights: Sequence[Any]) -> None:
    """Writes a tf.function with an input signature; its weights become constants.

    Args:
      weights: the tf.Variables that the function reads. The converter freezes those alone that it
        finds by this list, and what it does not find would be read as zeros.

    Raises:
      ValueError: LiteRT has no operation of its own for one of the function's.
    """
    module = tf.Module()
    module.function, module.weights = function, list(weights)
    converter = tf.lite.TFLiteConverter.from_concrete_functions(
        [function.get_concrete_function()], module
    )
    try:
        path.write_bytes(converter.convert())
    except Exception as error:  # the converter's own class is not public
        if type(error).__name__ != "ConverterError":
            raise
        line = next((x for x in str(error).splitlines() if "ops:" in x), str(error)[:200])
        raise ValueError(f"LiteRT cannot run this model. {line.strip()}") from error


def run(path: Path, requests: Sequence[Mapping[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    """Answers each request, inputs by name, by TensorFlow's interpreter: outputs by name."""
    with warnings.catch_warnings():
        # TensorFlow means to move its interpreter to a package of its own.
        warnings.simplefilter("ignore")
        signature = tf.lite.Interpreter(model_path=str(path)).get_signature_runner()
    return [dict(signature(**one)) for one in requests]
