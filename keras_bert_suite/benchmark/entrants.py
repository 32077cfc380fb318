"""The side of the benchmark that starts contestants, asks and listens."""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

_WORKER = Path(__file__).with_name("worker.py")
_MOST_SECONDS = 900  # for one answer: building and compiling BERT-large may take minutes
_LINES_OF_LOG = 5


@dataclasses.dataclass(frozen=True, kw_only=True)
class Entrant:
    """A contestant with what it is prepared for; equal ones share a process.

    Attributes:
      label: what the table calls it.
      contestant: a module of benchmark/contestants/, or any other by its dotted name.
      python: of the virtual environment that has its library.
      options: JSON values for its `__init__`.
    """

    label: str
    contestant: str
    python: str = sys.executable
    options: Mapping[str, Any] = dataclasses.field(default_factory=dict, hash=False)


@dataclasses.dataclass(frozen=True)
class Run:
    """One run: its seconds, the units of work done, the process's peak memory so far beyond what it
    held when it was prepared, and other numbers that it has to tell."""

    seconds: float
    units: float
    peak_bytes: int
    notes: Mapping[str, float] = dataclasses.field(default_factory=dict)

    @property
    def rate(self) -> float:
        """Units a second."""
        return self.units / self.seconds


class WarmProcess:
    """An entrant's process.

    Args:
      entrant: who runs in it.
      environment: variables beside those of this process.

    Raises:
      ValueError: the Python cannot be started; and, from the methods, whatever went wrong in the
        process, with the end of what it printed.
    """

    def __init__(self, entrant: Entrant, *, environment: Mapping[str, str] | None = None):
        self.entrant = entrant
        self._log = tempfile.TemporaryFile("w+", encoding="utf-8", errors="replace")
        try:
            self._process = subprocess.Popen(
                [entrant.python, str(_WORKER)],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                encoding="utf-8",
                env={**os.environ, **(environment or {})},
            )
        except OSError as error:
            self._log.close()
            raise ValueError(
                f"{entrant.label}: {entrant.python} cannot be started ({error.strerror}). Remedy: "
                "give the path of a virtual environment's bin/python."
            ) from error

    def begin_preparing(self) -> None:
        """Asks to prepare; several processes may do so at once."""
        self._send(
            {
                "do": "prepare",
                "contestant": self.entrant.contestant,
                "options": dict(self.entrant.options),
            }
        )

    def prepared(self) -> dict[str, str]:
        """Waits until it has prepared; returns versions of its libraries."""
        return self._receive()["versions"]

    def run(self, work: Mapping[str, Any]) -> Run:
        """Does the work once."""
        self._send({"do": "run", "work": dict(work)})
        answer = self._receive()
        return Run(answer["seconds"], answer["units"], answer["peak_bytes"], answer["notes"])

    def outputs(self, work: Mapping[str, Any]) -> np.ndarray | None:
        """Returns what it computed, float32; None where it has nothing to compare."""
        with tempfile.TemporaryDirectory() as directory:
            file = os.path.join(directory, "outputs.npy")
            self._send({"do": "outputs", "work": dict(work), "file": file})
            return np.load(file, allow_pickle=False) if self._receive()["written"] else None

    def close(self) -> None:
        """Ends the process."""
        self._process.stdin.close()  # type: ignore[union-attr]
        try:
            self._process.wait(timeout=30)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdout.close()  # type: ignore[union-attr]
        self._log.close()

    def _send(self, request: Mapping[str, Any]) -> None:
        assert self._process.stdin is not None
        try:
            print(json.dumps(request), file=self._process.stdin, flush=True)
        except BrokenPipeError:
            pass  # the process is gone; what it printed is told by the answer that does not come

    def _receive(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        alarm = threading.Timer(_MOST_SECONDS, self._process.kill)
        alarm.start()
        try:
            line = self._process.stdout.readline()
        finally:
            alarm.cancel()
        if not line:
            raise ValueError(
                f"{self.entrant.label}: the process of {self.entrant.contestant} ended, or did not "
                f"answer within {_MOST_SECONDS} s. It printed: {self._end_of_log()}"
            )
        answer = json.loads(line)
        if "error" in answer:
            raise ValueError(f"{self.entrant.label} ({self.entrant.python}): {answer['error']}")
        return answer

    def _end_of_log(self) -> str:
        self._log.seek(0)
        lines = self._log.read().strip().splitlines()
        return " / ".join(lines[-_LINES_OF_LOG:]) or "nothing"
