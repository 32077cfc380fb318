"""The state of a training run on disk: whole or not there, and exact to the bit.

    OUTPUT/checkpoints/step-00000100/
        state.json                           step, data position, settings, CRC of the files and
                                             of itself
        training.index  training.data-...    tf.train.Checkpoint of all variables

A state holds the model's variables (weights and the states of the dropout generators), the
optimizer's (moments, step count, average of the weights, loss scale) and the counts of the guard
that skips harmful steps. With batches that are a pure function of the step
(data/source.py) a resumed run computes what the uninterrupted one would have, bit by bit on a CPU.
"""

from __future__ import annotations

import contextlib
import json
import re
import shutil
import tempfile
import warnings
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras
import tensorflow as tf

from keras_bert_suite.files import atomic_directory
from keras_bert_suite.tensorflow_errors import tensorflow_os_errors

_STEP = re.compile(r"step-(\d{8,})")
_FORMAT = 2


class CorruptStateError(ValueError):
    """A saved state that cannot be read: incomplete, changed, or of another format."""


@dataclass(frozen=True)
class TrainingState:
    """Where a run stands: `step` optimizer steps done, the data position, the run's settings, and
    {"step", "loss"} of its best state so far, if it keeps one."""

    step: int
    data: dict[str, Any]
    settings: dict[str, Any]
    best: dict[str, Any] | None = None


def settings_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """Gives one line a setting that differs: `key: old value -> new value`, sorted by key."""
    absent = "(not set)"
    old, new = _as_json(old), _as_json(new)
    return [
        f"{key}: {json.dumps(old[key]) if key in old else absent} -> "
        f"{json.dumps(new[key]) if key in new else absent}"
        for key in sorted({*old, *new})
        if old.get(key, absent) != new.get(key, absent)
    ]


class TrainingCheckpoint:
    """Saves and restores the training states of one model and optimizer.

    Args:
      model: a Keras model whose variables exist.
      optimizer: its optimizer, built.
      directory: the folder of the states, OUTPUT/checkpoints.
      keep: how many of the newest states stay, at least 1.
      is_chief: False on the other workers of a multi-worker run. They take part in the saving, as
        TensorFlow demands, but write to a temporary place that is removed again.
    """

    def __init__(self, model, optimizer, *, directory, keep: int = 3, is_chief: bool = True):
        if keep < 1:
            raise ValueError(f"keep_checkpoints must be at least 1. Received: {keep}.")
        self.directory = Path(directory)
        self.keep = keep
        self.is_chief = is_chief
        self._variables = _named_variables(model, optimizer)
        self._checkpoint = tf.train.Checkpoint(**{k: v.value for k, v in self._variables.items()})

    def steps(self) -> list[int]:
        """Gives the steps of the states that are there, oldest first (corrupt ones included)."""
        if not self.directory.is_dir():
            return []
        matches = (_STEP.fullmatch(path.name) for path in self.directory.iterdir())
        return sorted(int(match.group(1)) for match in matches if match)

    def path(self, step: int) -> Path:
        return self.directory / f"step-{step:08d}"

    def save(
        self,
        step: int,
        *,
        data: Mapping[str, Any],
        settings: Mapping[str, Any],
        best: Mapping[str, Any] | None = None,
    ) -> Path:
        """Writes the state after `step` steps and removes the oldest beyond `keep`, but the best.

        Args:
          step, data, settings: see TrainingState.
          best: {"step", "loss"} of the state to keep beside the newest.

        Returns:
          The directory of the state.

        Raises:
          ValueError: a weight is not finite: such a state would be no good to resume from.
          OSError: it could not be written (a full disk); earlier states are untouched.
        """
        self._check_finite(step)
        target = self.path(step)
        with self._place(target) as folder, tensorflow_os_errors(target):
            self._checkpoint.write(str(folder / "training"))
            files = sorted(folder.glob("training.*"))
            state = {
                "format": _FORMAT,
                "step": step,
                "data": data,
                "settings": settings,
                "best": best,
                "files": {f.name: {"bytes": f.stat().st_size, "crc32": _crc32(f)} for f in files},
            }
            state["crc32"] = _crc32_of_values(state)
            text = json.dumps(state, indent=2, sort_keys=True) + "\n"
            (folder / "state.json").write_text(text, encoding="utf-8")
        if self.is_chief:
            # What is newer than this state was passed over when the run was resumed.
            so_far = [one for one in self.steps() if one <= step]
            for old in so_far[: -self.keep]:
                if not best or old != best["step"]:
                    shutil.rmtree(self.path(old), ignore_errors=True)
        return target

    def restore_newest(self, *, settings: Mapping[str, Any]) -> TrainingState | None:
        """Restores the newest state that can be read; None when there is none.

        A state that is incomplete or damaged is passed over with a warning.

        Raises:
          ValueError: the state was made with other `settings` (all that differ are listed), or for
            another model, or there are states and none can be read.
        """
        self._remove_leftovers()
        steps = self.steps()
        for step in reversed(steps):
            try:
                state = self._read(step)
            except CorruptStateError as error:
                warnings.warn(f"{error} Trying the state before it.", stacklevel=2)
                continue
            difference = settings_difference(state.settings, settings)
            if difference:
                raise ValueError(
                    f"The settings differ from those of the run that {self.path(step)} belongs to "
                    f"(old -> new): {'; '.join(difference)}. Remedy: use the old settings to go "
                    "on, or another output_dir to start a new run."
                )
            self._restore(step)
            return state
        if steps:
            raise ValueError(
                f"None of the {len(steps)} training states in {self.directory} can be read. "
                "Remedy: remove that directory to start the run anew."
            )
        return None

    def restore(self, step: int) -> None:
        """Restores the state after `step` steps.

        Raises:
          CorruptStateError: it cannot be read.
        """
        self._read(step)
        self._restore(step)

    def _read(self, step: int) -> TrainingState:
        """Checks a state's files and gives its state.json."""
        folder = self.path(step)
        try:
            state = json.loads((folder / "state.json").read_text(encoding="utf-8"))
            if state["format"] != _FORMAT:
                raise CorruptStateError(f"{folder} has format {state['format']}, not {_FORMAT}.")
            if state.pop("crc32") != _crc32_of_values(state):
                raise CorruptStateError(
                    f"{folder / 'state.json'} is damaged: its checksum is wrong."
                )
            for name, expected in state["files"].items():
                path = folder / name
                if path.stat().st_size != expected["bytes"] or _crc32(path) != expected["crc32"]:
                    raise CorruptStateError(f"{path} is damaged: size or checksum is wrong.")
            return TrainingState(
                int(state["step"]), state["data"], state["settings"], state["best"]
            )
        except (OSError, UnicodeDecodeError, json.JSONDecodeError, KeyError, TypeError) as error:
            raise CorruptStateError(f"{folder} cannot be read: {error!r}.") from error

    def _restore(self, step: int) -> None:
        prefix = str(self.path(step) / "training")
        shapes = tf.train.load_checkpoint(prefix).get_variable_to_shape_map()
        suffix = "/.ATTRIBUTES/VARIABLE_VALUE"
        saved = {k.removesuffix(suffix): tuple(v) for k, v in shapes.items() if k.endswith(suffix)}
        own = {key: tuple(variable.shape) for key, variable in self._variables.items()}
        if saved != own:
            wrong = sorted(k for k in {*saved, *own} if saved.get(k) != own.get(k))
            raise ValueError(
                f"{prefix} belongs to another model or optimizer: {len(wrong)} variables are "
                f"missing, new or of another shape, the first is {self._readable(wrong[0])} (saved "
                f"shape {saved.get(wrong[0])}, wanted {own.get(wrong[0])}). Remedy: choose another "
                "output_dir."
            )
        self._checkpoint.read(prefix).assert_consumed()

    def _readable(self, key: str) -> str:
        return self._variables[key].path if key in self._variables else key

    def _check_finite(self, step: int) -> None:
        for key, variable in self._variables.items():
            value = tf.convert_to_tensor(variable.value)
            is_weight = key.startswith("model_") and value.dtype.is_floating
            if is_weight and not tf.reduce_all(tf.math.is_finite(value)):
                raise ValueError(
                    f"The weight {variable.path} is not finite after step {step}: the state was "
                    f"not saved. Last good state: {newest_or_none(self)}. {DIVERGED_REMEDY}"
                )

    @contextlib.contextmanager
    def _place(self, target: Path) -> Iterator[Path]:
        """The folder to write to, which becomes `target` for the chief and vanishes for others."""
        if self.is_chief:
            with atomic_directory(target) as folder:
                yield folder
        else:
            with tempfile.TemporaryDirectory(prefix="training-state-") as folder:
                yield Path(folder)

    def _remove_leftovers(self) -> None:
        """Removes what a killed process left half-written."""
        if self.is_chief and self.directory.is_dir():
            for path in self.directory.glob(".step-*.tmp"):
                shutil.rmtree(path, ignore_errors=True)


DIVERGED_REMEDY = "Remedy: a lower learning_rate, a longer warm-up or another precision."


def newest_or_none(checkpoint: TrainingCheckpoint) -> str:
    """Gives the path of the newest state for a message, or "none"."""
    steps = checkpoint.steps()
    return str(checkpoint.path(steps[-1])) if steps else "none"


def _named_variables(model, optimizer) -> dict[str, keras.Variable]:
    """All variables of a run, under names that depend on their order alone.

    `tf.train.Checkpoint(model, optimizer)` leaves out the states of the dropout generators; Keras
    paths are no good as names, since they count what the process built before.
    """
    model_variables = {f"model_{i:04d}_{v.name}": v for i, v in enumerate(model.variables)}
    guard = getattr(model, "update_guard", None)
    return (
        model_variables
        | {f"optimizer_{i:04d}": v for i, v in enumerate(optimizer.variables)}
        | {f"guard_{i:04d}": v for i, v in enumerate(guard.variables if guard else ())}
    )


def _crc32_of_values(values: Mapping[str, Any]) -> int:
    return zlib.crc32(json.dumps(values, sort_keys=True).encode())


def _crc32(path: Path) -> int:
    crc = 0
    with open(path, "rb") as file:
        while block := file.read(1 << 22):
            crc = zlib.crc32(block, crc)
    return crc


def _as_json(value: Mapping[str, Any]) -> dict[str, Any]:
    """What `value` reads like after a trip through JSON (tuples become lists)."""
    return json.loads(json.dumps(value))
