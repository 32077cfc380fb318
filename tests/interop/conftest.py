"""Runs run_transformers.py in the interpreter that has torch."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

_SCRIPT = Path(__file__).with_name("run_transformers.py")


@pytest.fixture(scope="session")
def transformers_run(interop_python):
    """Returns a function that runs one command of the script and gives its standard output."""

    def run(*arguments):
        command = [interop_python, str(_SCRIPT), *map(str, arguments)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    return run
