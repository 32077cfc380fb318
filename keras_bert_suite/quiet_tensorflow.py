"""Keeps TensorFlow's start-up notes off the screen of the binaries.

TensorFlow 2.21 prints a dozen lines (oneDNN, missing CUDA drivers, CPU features) when it is
imported and when it first looks for devices, whatever TF_CPP_MIN_LOG_LEVEL says, because they are
logged before its logging is set up. They hide the one line that a binary has to say.
"""

from __future__ import annotations

import contextlib
import importlib.abc
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator

_OWN = "KBS_QUIET_TENSORFLOW"


def install() -> None:
    """Imports of TensorFlow become quiet, in this process and in those it starts.

    Does nothing where TF_CPP_MIN_LOG_LEVEL is set: who sets it wants TensorFlow's own behaviour.
    If the import fails, what was held back is shown.
    """
    if "TF_CPP_MIN_LOG_LEVEL" in os.environ and not os.environ.get(_OWN):
        return
    # Nothing later either: an error that matters comes as an exception (2 would still show that
    # oneDNN has no int64 kernel, at the first lookup in a table).
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    os.environ[_OWN] = "1"  # tells a child process that nobody but us has set the level
    if "tensorflow" not in sys.modules and _Finder not in map(type, sys.meta_path):
        sys.meta_path.insert(0, _Finder())


class _Finder(importlib.abc.MetaPathFinder):
    """Finds tensorflow as the other finders do, and has it loaded quietly."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "tensorflow":
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(fullname)
        if spec is not None and spec.loader is not None:
            execute = spec.loader.exec_module

            def exec_module(module):
                with _held_back_stderr():
                    execute(module)
                    # The first look for devices logs too; it fixes nothing that is set later.
                    module.config.list_physical_devices()

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


@contextlib.contextmanager
def _held_back_stderr() -> Iterator[None]:
    """Catches what C++ writes to the standard error; shows it only if an exception passes."""
    sys.stderr.flush()
    saved = os.dup(2)
    with tempfile.TemporaryFile() as held:
        os.dup2(held.fileno(), 2)
        try:
            yield
        except BaseException:
            held.seek(0)
            os.write(saved, held.read())
            raise
        finally:
            sys.stderr.flush()
            os.dup2(saved, 2)
            os.close(saved)
