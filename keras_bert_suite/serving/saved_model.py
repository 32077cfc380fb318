"""A model directory as a SavedModel version for TF Serving: EXPORT_DIR/VERSION/."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

import keras_bert_suite
from keras_bert_suite.files import atomic_directory
from keras_bert_suite.serving import artifact_check, export_sources, warmup
from keras_bert_suite.serving.canonical import make_canonical
from keras_bert_suite.serving.export_result import ExportResult
from keras_bert_suite.serving.export_sources import MIXED, ExportSource
from keras_bert_suite.serving.mixed import MEANING, Mixed, mixed_if_possible
from keras_bert_suite.serving.samples import SAMPLES, sample_inputs
from keras_bert_suite.serving.signatures import (
    Signature,
    Signatures,
    core_function,
)
from keras_bert_suite.serving.versions import DESCRIPTION_FILE, find_versions
from keras_bert_suite.tensorflow_errors import tensorflow_os_errors

_DEFAULT = "serving_default"
# bfloat16 keeps 8 bits: another order of the same additions shows in the second digit.
TOLERANCES = {"float32": 1e-5, "bfloat16": 5e-2}


def export_model(
    model_dir: str | os.PathLike | Mapping[str, str | os.PathLike],
    export_dir: str | os.PathLike,
    *,
    version: int | None = None,
    precision: str = "float32",
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    base_dir: str | os.PathLike | None = None,
    merge: bool = True,
    mixed: bool | None = None,
) -> ExportResult:
    """Writes a version directory with a SavedModel, warm-up records and serving.json.

    It appears by rename, after a process of its own has loaded what was written and has given the
    Keras model's answers to sample texts.

    Args:
      model_dir: a model directory; or several tuned parts of one base by name, whose encoder is
        stored once: "topics" then has the signatures topics, topics/tokens, ..., and the first is
        serving_default too.
      export_dir: the base path; other versions in it are left alone.
      version: the number; None takes the highest there plus 1.
      task: another task than that of the fine-tuning, see `load_task_model`; of one directory.
      options: of the task, told anew; of one directory.
      precision: "float32", or "bfloat16": weights stored and used in 16 bits, outputs in float32.
      base_dir: of a tuned part, see `load_model`.
      merge: whether a tuned part becomes weights of a plain model where its method can, which
        computes less; several stay as they are.
      mixed: whether several get the signature `mixed` too, see mixed.py; None: where they can.

    Raises:
      ValueError: what is wrong with the model directory or an argument, or the artifact's answers
        differ.
      OSError: something could not be read or written.
    """
    if precision not in TOLERANCES:
        raise ValueError(
            f"precision must be one of {', '.join(TOLERANCES)}. Received: {precision!r}"
        )
    version = _version(Path(export_dir), version)
    if isinstance(model_dir, Mapping):
        told = {"task": task, **(options or {})}
        sources = export_sources.load_several(model_dir, precision, base_dir=base_dir, told=told)
    else:
        told = {"task": task, "options": options, "base_dir": base_dir}
        sources = {"": export_sources.load(model_dir, precision, merge=merge, **told)}
    mixture, not_mixed = mixed_if_possible(sources, wanted=mixed)
    target = Path(export_dir) / str(version)
    with atomic_directory(target, replace=False) as folder, tensorflow_os_errors(target):
        signatures = _write_saved_model(sources, mixture, folder)
        requests = _sample_requests(signatures)
        # The first of each signature: what a client will send, in small.
        firsts = {name: inputs for name, inputs in reversed(requests)}
        warmup.write(folder, list(firsts.items()))
        _write_description(folder, sources, precision=precision)
        difference = artifact_check.check(
            folder,
            requests=requests,
            expected=_expected(sources, mixture, requests),
            tolerance=TOLERANCES[precision],
        )
    return ExportResult(
        path=target,
        version=version,
        signatures=tuple(signatures),
        difference=difference,
        not_mixed=not_mixed,
    )


def _version(export_dir: Path, version: int | None) -> int:
    present = find_versions(export_dir)
    if version is None:
        return max(present, default=0) + 1
    if version < 0:
        raise ValueError(f"--version must not be negative. Received: {version}")
    if version in present:
        raise ValueError(
            f"{present[version]} exists already, and a published version never changes. Leave "
            f"--version out to write {max(present) + 1}."
        )
    return version


def _write_saved_model(
    sources: Mapping[str, ExportSource], mixture: Mixed | None, folder: Path
) -> dict[str, tuple[ExportSource | Mixed, Signature]]:
    module = tf.Module()
    # The variables alone: tracking the Keras models too would store each weight twice. Models that
    # share a base have variables in common.
    weights = [weight.value for source in sources.values() for weight in source.model.weights]
    module.weights = [*{id(weight): weight for weight in weights}.values()]
    module.tables = [table for one in sources.values() for table in one.tokenizer.trackables]
    cores = {name: core_function(one.model, one.task) for name, one in sources.items()}
    module.cores = [*cores.values(), *([mixture.core] if mixture else [])]
    signatures = _signatures(sources, mixture, cores)
    functions = {name: _traced(signature) for name, (_, signature) in signatures.items()}
    module.signature_functions = functions
    # Gradients are for training; a server would load them for nothing.
    options = tf.saved_model.SaveOptions(experimental_custom_gradients=False)
    tf.saved_model.save(module, str(folder), signatures=functions, options=options)
    _set_methods(folder, {name: signature.method for name, (_, signature) in signatures.items()})
    make_canonical(folder)
    return signatures


def _signatures(
    sources: Mapping[str, ExportSource],
    mixture: Mixed | None,
    cores: Mapping[str, Any] | None = None,
) -> dict[str, tuple[ExportSource | Mixed, Signature]]:
    """All signatures by their names in the SavedModel, with what each belongs to."""
    found: dict[str, tuple[ExportSource | Mixed, Signature]] = {}
    for source_name, source in sources.items():
        made = Signatures(
            source.model,
            tokenizer=source.tokenizer,
            task=source.task,
            max_length=source.max_length,
            core=cores[source_name] if cores else None,
        ).build()
        for name, signature in made.items():
            whole = source_name if name == _DEFAULT else f"{source_name}/{name}"
            found[whole if source_name else name] = (source, signature)
    if mixture:
        found[MIXED] = (mixture, mixture.signature)
    return {_DEFAULT: next(iter(found.values())), **found}


def _traced(signature: Signature):
    names = [spec.name for spec in signature.specs]

    def serve(*tensors):
        return signature.compute(dict(zip(names, tensors, strict=True)))

    return tf.function(serve, input_signature=signature.specs, autograph=False)


def _set_methods(folder: Path, methods: Mapping[str, str]) -> None:
    """Names the API of each signature; tf.saved_model.save calls all of them predict."""
    from tensorflow.core.protobuf import saved_model_pb2

    path = folder / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(path.read_bytes())
    for meta_graph in saved_model.meta_graphs:
        for name, method in methods.items():
            meta_graph.signature_def[name].method_name = method
    path.write_bytes(saved_model.SerializeToString(deterministic=True))


def _sample_requests(
    signatures: Mapping[str, tuple[ExportSource | Mixed, Signature]],
) -> list[artifact_check.Request]:
    """Requests to every signature: one row and several rows, empty and overlong text among them."""
    requests: list[artifact_check.Request] = []
    for texts in (SAMPLES[:1], SAMPLES):
        for name, (source, signature) in signatures.items():
            requests.append((name, sample_inputs(source, signature, list(texts))))
    return requests


def _expected(
    sources: Mapping[str, ExportSource],
    mixture: Mixed | None,
    requests: list[artifact_check.Request],
) -> list[dict[str, np.ndarray]]:
    """The Keras models' own answers, computed without the exported functions."""
    signatures = _signatures(sources, mixture)
    expected = []
    for name, inputs in requests:
        source, signature = signatures[name]
        compute = source.expected if isinstance(source, Mixed) else signature.compute
        outputs = compute({k: tf.constant(v) for k, v in inputs.items()})
        expected.append({alias: value.numpy() for alias, value in outputs.items()})
    return expected


def _write_description(
    folder: Path, sources: Mapping[str, ExportSource], *, precision: str
) -> None:
    from keras_bert_suite.serving import description

    source = next(iter(sources.values()))
    values: dict[str, Any] = description.describe(
        folder, task=source.task, max_length=source.max_length, tokenizer=source.tokenizer
    )
    values["precision"] = precision
    if MIXED in values["signatures"]:
        values["signatures"][MIXED]["meaning"] = MEANING
    if "" not in sources:
        values["tasks"] = {
            name: {"task": one.task and one.task.to_config(), "max_length": one.max_length}
            for name, one in sources.items()
        }
    values["keras_bert_suite"] = keras_bert_suite.__version__
    values["encoder"] = source.model.encoder.config.to_huggingface()
    text = json.dumps(values, indent=2, ensure_ascii=False) + "\n"
    (folder / DESCRIPTION_FILE).write_text(text, encoding="utf-8")
