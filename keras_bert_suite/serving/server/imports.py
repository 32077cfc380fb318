"""TensorFlow and the ops of tf.text without what a server never uses of them.

An autoscaler waits for the first answer of a new server, and imports are the larger part of that:
measured, TensorFlow takes 2.6 s with Keras and 1.9 s without.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_KERAS = ("keras", "tf_keras")


def import_tensorflow() -> None:
    """Imports TensorFlow, and not the Keras that it would import.

    TensorFlow 2.21 imports Keras at once, for the optimizers that a SavedModel of
    `tf.saved_model.load` may need, and goes on without where there is none (the end of its
    __init__.py). A session runs graphs alone. A later `import keras` in this process works as
    ever. Where either is imported already nothing changes.
    """
    if "tensorflow" in sys.modules or any(name in sys.modules for name in _KERAS):
        return
    for name in _KERAS:
        sys.modules[name] = None  # type: ignore[assignment]  # as if it were not installed
    try:
        import tensorflow  # noqa: F401
    finally:
        for name in _KERAS:
            del sys.modules[name]


def register_text_ops() -> None:
    """Registers all ops of tf.text with TensorFlow.

    Its Python package does the same, and imports wrappers and Keras layers that graphs do not need.

    Raises:
      ImportError: tensorflow-text is not installed.
    """
    import tensorflow as tf

    spec = importlib.util.find_spec("tensorflow_text")
    if spec is None or spec.origin is None:
        raise ImportError("tensorflow-text is not installed.")
    package = Path(spec.origin).parent / "python"
    libraries = sorted([*package.glob("ops/_*.so"), *package.glob("metrics/_*.so")])
    if not libraries:
        raise ImportError(f"{package} has no libraries of ops.")
    for library in libraries:
        tf.load_library(str(library))
