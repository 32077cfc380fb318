"""Runs a binary of bin/ in a process of its own, as a user does."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_BIN = Path(__file__).resolve().parents[2] / "bin"


def run_binary(name, *arguments, stdin="", timeout=120):
    """Runs bin/NAME.py; returns the CompletedProcess with stdout and stderr as text."""
    return subprocess.run(
        [sys.executable, _BIN / f"{name}.py", *map(str, arguments)],
        input=stdin,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def error_line(result):
    """The last line of stderr of a run that failed in the way a user can repair."""
    assert result.returncode == 1, result.stderr
    assert "Traceback" not in result.stderr
    return result.stderr.splitlines()[-1]
