"""The peers: who needs a virtual environment of its own, and how it is made.

A peer with an environment of its own gets it by a flag of bin/benchmark.py:

    python3 -m venv torch-venv
    torch-venv/bin/pip install -r PACKAGE/benchmark/requirements/torch.txt
    bin/benchmark.py --torch_python=torch-venv/bin/python

PACKAGE is the directory of this package; onnx.txt and model_garden.txt stand beside torch.txt.
KerasHub is a requirement of this package and needs none.
"""

from __future__ import annotations

from typing import Any

from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.materials import Settings
from keras_bert_suite.config import EncoderConfig


def torch_entrant(settings: Settings, label: str, contestant: str, **options: Any) -> list[Entrant]:
    """The contestant on PyTorch, or nobody where its environment is not told."""
    return _elsewhere(settings.torch_python, label, contestant, options)


def onnx_entrant(settings: Settings, label: str, contestant: str, **options: Any) -> list[Entrant]:
    """The contestant on onnxruntime, or nobody where its environment is not told."""
    options["threads"] = settings.threads  # no variable of the environment tells it
    return _elsewhere(settings.onnx_python, label, contestant, options)


def model_garden_entrant(
    settings: Settings, label: str, contestant: str, config: EncoderConfig, dtype: str
) -> list[Entrant]:
    """The contestant on TensorFlow Model Garden (random weights of the same shapes), or nobody."""
    options = {"config": config.to_dict(), "dtype": dtype}
    return _elsewhere(settings.model_garden_python, label, contestant, options)


def _elsewhere(python, label, contestant, options) -> list[Entrant]:
    if python is None:
        return []
    return [Entrant(label=label, contestant=contestant, python=python, options=options)]
