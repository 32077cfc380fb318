"""Runs tensorflow/serving's own test of its model server against bin/serve.py.

    KBS_TF_SERVING_DIR=serving/ python tests/support/tf_serving_script.py \\
        TensorflowModelServerTest.testClassify TensorflowModelServerTest.testRegress

`serving/` is a checkout of github.com/tensorflow/serving; flags are absltest's. What Bazel would
build is put in its place: the executable tensorflow_model_server that the script starts is
bin/serve.py with the same flags, its package tensorflow_serving.apis is that of the wheel, and
portpicker's one function is here. The script and its models are the checkout's, unchanged. Two of
its tests save Keras models and expect the input names of Keras 2: they need the package tf_keras.
"""

from __future__ import annotations

import importlib.util
import os
import runpy
import shlex
import socket
import sys
import tempfile
import types
from pathlib import Path

SCRIPT = "tensorflow_serving/model_servers/tensorflow_model_server_test.py"
_SERVE = Path(__file__).resolve().parents[2] / "bin" / "serve.py"


def main(argv: list[str]) -> None:
    checkout = Path(os.environ["KBS_TF_SERVING_DIR"]).resolve()
    with tempfile.TemporaryDirectory() as directory:
        os.environ["TEST_SRCDIR"] = str(source_tree(Path(directory), checkout))
        sys.modules["portpicker"] = _portpicker()
        if importlib.util.find_spec("tf_keras"):
            os.environ["TF_USE_LEGACY_KERAS"] = "1"
        # The script reads the environment by a module that TensorFlow's flags used to import.
        from tensorflow.python.platform import flags

        flags.os = os
        import tensorflow_serving

        tensorflow_serving.__path__.append(str(checkout / "tensorflow_serving"))
        sys.argv = [SCRIPT, *argv]
        runpy.run_path(str(checkout / SCRIPT), run_name="__main__")


def source_tree(directory: Path, checkout: Path) -> Path:
    """The directory as Bazel would lay it out: the checkout's models, and our server."""
    package = directory / "tf_serving" / "tensorflow_serving"
    (package / "model_servers").mkdir(parents=True)
    (package / "servables").symlink_to(checkout / "tensorflow_serving" / "servables")
    server = package / "model_servers" / "tensorflow_model_server"
    command = shlex.join([sys.executable, str(_SERVE)])
    server.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
    server.chmod(0o755)
    return directory


def _portpicker() -> types.ModuleType:
    module = types.ModuleType("portpicker")

    def pick_unused_port() -> int:
        with socket.socket() as listener:
            listener.bind(("", 0))
            return listener.getsockname()[1]

    module.pick_unused_port = pick_unused_port  # type: ignore[attr-defined]
    return module


if __name__ == "__main__":
    main(sys.argv[1:])
