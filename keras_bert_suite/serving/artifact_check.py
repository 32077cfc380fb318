"""Runs a written SavedModel in a fresh process and compares it with the model it came from.

The child process loads the artifact with TensorFlow's own loader, as a server would, and knows
nothing of the model's Python code.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

Request = tuple[str, Mapping[str, np.ndarray]]
Answer = Mapping[str, np.ndarray]


def check(
    saved_model_dir: str | os.PathLike,
    *,
    requests: Sequence[Request],
    expected: Sequence[Answer],
    tolerance: float,
) -> float:
    """Returns the largest difference of the artifact's answers from the expected ones.

    Args:
      saved_model_dir: the version directory; its warm-up records are replayed as well.
      requests: (signature name, inputs by alias).
      expected: outputs by alias, one of each request.
      tolerance: the largest difference allowed; relative above 1, absolute below.

    Raises:
      ValueError: an answer differs or the artifact does not run; says which signature and output.
    """
    answers = _run_in_child(Path(saved_model_dir), requests)
    return compare(requests, expected, answers, tolerance=tolerance)


def compare(
    requests: Sequence[Request],
    expected: Sequence[Answer],
    answers: Sequence[Answer],
    *,
    tolerance: float,
) -> float:
    """Returns the largest difference of answers from the expected ones; raises as `check`."""
    worst = 0.0
    for (signature, _), wanted, got in zip(requests, expected, answers, strict=True):
        if set(wanted) != set(got):
            raise ValueError(
                f"Signature {signature} answers with {sorted(got)}. Expected: {sorted(wanted)}"
            )
        for alias, array in wanted.items():
            difference = _difference(array, got[alias])
            if not difference <= tolerance:
                raise ValueError(
                    f"The exported model differs from the Keras model: signature {signature}, "
                    f"output {alias}, by {difference:g} (allowed: {tolerance:g}). Nothing was "
                    "published."
                )
            worst = max(worst, difference)
    return worst


def _difference(wanted: np.ndarray, got: np.ndarray) -> float:
    if wanted.shape != got.shape:
        return float("inf")
    if wanted.dtype.kind not in "f":
        return 0.0 if np.array_equal(wanted, got) else float("inf")
    if wanted.size == 0:
        return 0.0
    return float(np.max(np.abs(wanted - got) / np.maximum(1.0, np.abs(wanted))))


def _run_in_child(path: Path, requests: Sequence[Request]) -> list[dict[str, np.ndarray]]:
    import keras_bert_suite

    with tempfile.TemporaryDirectory() as folder:
        file = os.path.join(folder, "requests.npz")
        _save(file, _packed({i: inputs for i, (_, inputs) in enumerate(requests)}))
        root = str(Path(keras_bert_suite.__file__).resolve().parent.parent)
        python_path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-m", __name__, str(path), folder, *(r[0] for r in requests)]
        result = subprocess.run(
            command,
            env={**os.environ, "PYTHONPATH": python_path, "CUDA_VISIBLE_DEVICES": "-1"},
            capture_output=True,
            text=True,
            errors="replace",
        )
        if result.returncode:
            lines = result.stderr.strip().splitlines() or [f"exit status {result.returncode}"]
            raise ValueError(
                f"The exported model does not run in a process of its own: {lines[-1]}. Nothing "
                "was published."
            )
        answers = _unpacked(os.path.join(folder, "answers.npz"))
    return [answers[i] for i in range(len(requests))]


def _save(file: str, arrays: Mapping[str, np.ndarray]) -> None:
    np.savez(file, **arrays)  # type: ignore[arg-type]


def _packed(groups: Mapping[int, Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays under "INDEX/ALIAS"; strings as fixed-width Unicode, so that no pickle is needed."""
    packed = {}
    for index, arrays in groups.items():
        for alias, array in arrays.items():
            if array.dtype == object:
                # The mark keeps NumPy from dropping zero bytes at the end.
                texts = [item.decode("latin-1") + "|" for item in array.ravel()]
                array = np.array(texts, np.str_).reshape(array.shape)
            packed[f"{index}/{alias}"] = array
    return packed


def _unpacked(file: str) -> dict[int, dict[str, np.ndarray]]:
    groups: dict[int, dict[str, np.ndarray]] = {}
    with np.load(file) as stored:
        for key in stored.files:
            index, alias = key.split("/", 1)
            array = stored[key]
            if array.dtype.kind == "U":
                texts = np.empty(array.shape, object)
                texts.ravel()[:] = [text[:-1].encode("latin-1") for text in array.ravel()]
                array = texts
            groups.setdefault(int(index), {})[alias] = array
    return groups


def _child(path: str, folder: str, signatures: Sequence[str]) -> None:
    from keras_bert_suite.serving.server import warmup_replay
    from keras_bert_suite.serving.server.servable import Servable

    servable = Servable(Path(path), name="check", version=1)
    warmup_replay.replay(servable)
    requests = _unpacked(os.path.join(folder, "requests.npz"))
    answers = {}
    for index, name in enumerate(signatures):
        signature = servable.signatures[name]
        answers[index] = servable.run(signature, requests[index], list(signature.outputs))
    _save(os.path.join(folder, "answers.npz"), _packed(answers))


if __name__ == "__main__":
    _child(sys.argv[1], sys.argv[2], sys.argv[3:])
