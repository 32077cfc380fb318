"""The record of a run: `log.jsonl` for programs, TensorBoard event files for people."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_bert_suite.files import atomic_write
from keras_bert_suite.training.report import write_report


class TrainingLog:
    """Writes metrics by step to DIRECTORY/log.jsonl and DIRECTORY/logs/{train,eval}.

    A resumed run repeats the steps after its state: their lines are taken out of log.jsonl first,
    so that every step stands there once. TensorBoard's files are never rewritten; it shows the
    newer value of a repeated step.

    Args:
      directory: the run's output directory.
      first_step: the step that the run (re)starts from.
      is_chief: False for other workers: they read the history and write nothing.
    """

    def __init__(self, directory, *, first_step: int = 0, is_chief: bool = True):
        self.path = Path(directory) / "log.jsonl"
        self._logs = Path(directory) / "logs"
        self._is_chief = is_chief
        self._writers: dict[str, tf.summary.SummaryWriter] = {}
        self.history = [r for r in _read(self.path) if r["step"] <= first_step]
        if is_chief:
            with atomic_write(self.path) as file:
                file.writelines(json.dumps(record) + "\n" for record in self.history)

    def write(self, step: int, metrics: Mapping[str, float], *, kind: str = "train") -> None:
        """Records the `metrics` of `step`; `kind` is "train" or "eval"."""
        record: dict[str, Any] = {"step": step, "kind": kind, **metrics}
        self.history.append(record)
        if not self._is_chief:
            return
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(record) + "\n")
        if kind not in self._writers:
            self._writers[kind] = tf.summary.create_file_writer(str(self._logs / kind))
        with self._writers[kind].as_default():
            for name, value in metrics.items():
                tf.summary.scalar(name, value, step=step)
            self._writers[kind].flush()

    def report(self, settings: Mapping[str, Any], *, num_steps: int) -> None:
        """Writes report.html of a run that may not be through, or has failed."""
        # Where there is no room for it, the error that the run ends with is the one to show.
        if self._is_chief:
            with contextlib.suppress(OSError):
                write_report(
                    self.path.parent, history=self.history, settings=settings, num_steps=num_steps
                )

    def close(self) -> None:
        for writer in self._writers.values():
            writer.close()


def _read(path: Path) -> list[dict[str, Any]]:
    """The records of a log file; a last line that a killed process cut short is left out."""
    records = []
    if path.exists():
        for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
            try:
                records.append(json.loads(line))
            except json.JSONDecodeError:
                continue
    return records
