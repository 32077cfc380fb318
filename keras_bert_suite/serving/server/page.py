"""A page to try the served models in a browser: page.html and what it needs to know of them."""

from __future__ import annotations

import importlib.resources
import json
from typing import Any

from tensorflow_serving.apis import model_pb2

from keras_bert_suite.serving.server.inference import DEFAULT_SIGNATURE
from keras_bert_suite.serving.server.manager import ModelManager
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.serving.versions import DESCRIPTION_FILE

# Nothing comes from elsewhere, and what a text contains cannot run.
HEADERS = [
    (
        "Content-Security-Policy",
        "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; "
        "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    ),
    ("X-Content-Type-Options", "nosniff"),
]
MODELS_PATH = "/page/models"


def html() -> bytes:
    """The page."""
    return importlib.resources.files(__package__).joinpath("page.html").read_bytes()


def models(manager: ModelManager) -> bytes:
    """The JSON object {"models": [{"name", "version", "signature", "task", "labels", "inputs"}]}.

    A model of several tasks (bin/export_model.py --model_dirs) is there once for each, whose name
    is the signature's. Only signatures that take nothing but strings have "inputs".
    """
    described = []
    for name in sorted(manager.available):
        with manager.lease(model_pb2.ModelSpec(name=name)) as servable:
            described += [
                _described(servable, signature, task)
                for signature, task in _tasks(servable).items()
            ]
    return json.dumps({"models": described}).encode()


def _described(servable: Servable, name: str, task: dict[str, Any]) -> dict[str, Any]:
    signature = servable.signatures.get(name)
    ports = signature.inputs if signature else {}
    plain = all(port.dtype.name == "string" for port in ports.values())
    order = ["text", "text_a", "text_b", "question", "context"]
    names = sorted(ports, key=lambda name: (order.index(name) if name in order else 9, name))
    return {
        "name": servable.name,
        "version": servable.version,
        "signature": name,
        "task": task.get("name"),
        "labels": task.get("labels") or [],
        "inputs": names if plain else [],
    }


def _tasks(servable: Servable) -> dict[str, dict[str, Any]]:
    """Signature -> task, by the model's serving.json; no task where it has another origin."""
    try:
        described = json.loads((servable.path / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        several = described.get("tasks") or {}
        tasks = {name: dict(one.get("task") or {}) for name, one in several.items()}
        return tasks or {DEFAULT_SIGNATURE: dict(described.get("task") or {})}
    except (OSError, ValueError, AttributeError, TypeError):
        return {DEFAULT_SIGNATURE: {}}
