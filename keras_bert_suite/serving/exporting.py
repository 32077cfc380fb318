"""One call for every form of export."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

SAVED_MODEL = "saved_model"
FORMATS = (SAVED_MODEL, "onnx", "litert")


def export(
    *,
    model_dir: str | os.PathLike | None,
    model_dirs: Sequence[str] | None,
    export_dir: str | os.PathLike | None,
    format: str = SAVED_MODEL,
    version: int | None = None,
    precision: str = "float32",
    mixed: bool | None = None,
    **source: Any,
) -> Any:
    """Exports and returns what was written, an object with `report()`.

    Args:
      model_dir: a model directory, or None.
      model_dirs: NAME=DIRECTORY of several, or None.
      export_dir: see `export_model`; for another format the directory to make.
      format: of FORMATS.
      version, precision, mixed: of a SavedModel, see `export_model`.
      **source: task, options, base_dir and merge of `export_model`.

    Raises:
      ValueError: arguments that do not go together; and as `export_model` and `export_portable`.
      OSError: something could not be read or written.
    """
    if (model_dir is None) == (model_dirs is None) or export_dir is None:
        raise ValueError("Give --model_dir or --model_dirs with --export_dir, or --check alone.")
    if format == SAVED_MODEL:
        from keras_bert_suite.serving.export_sources import named_directories
        from keras_bert_suite.serving.saved_model import export_model

        return export_model(
            named_directories(model_dirs) if model_dir is None else model_dir,
            export_dir,
            version=version,
            precision=precision,
            mixed=mixed,
            **source,
        )
    told = {"model_dirs": model_dirs, "mixed": mixed, "version": version}
    surplus = [f"--{name}" for name, value in told.items() if value is not None]
    surplus += ["--precision"] if precision != "float32" else []
    if surplus:
        raise ValueError(
            f"--format={format} writes one model in float32, without versions. Leave out: "
            f"{', '.join(surplus)}"
        )
    from keras_bert_suite.serving.portable import export_portable

    return export_portable(model_dir, export_dir, format=format, **source)
