"""The unfinished part of a record directory: what was done, so that a killed run goes on.

`OUTPUT/in_progress/` holds
  job.json            the settings and the input files; another job must not go on with this one
  task-*.run          the encoded documents of one task (a few megabytes of input), shard by shard
  SHARD.json          the statistics of a finished shard
  finished/           finished shards, where the records of an earlier run are to be replaced
It disappears when all is done. Whatever stands there under its own name is complete.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

from keras_bert_suite import files
from keras_bert_suite.data.encoded_runs import EncodedRun
from keras_bert_suite.data.records import STATS_FILE

IN_PROGRESS = "in_progress"
_JOB_FILE = "job.json"
_FOOTER = struct.Struct("<Q8s")
_MAGIC = b"kbs-run1"


def write_task(path: Path, runs: Mapping[str, EncodedRun]) -> None:
    """Writes the runs of one task (shard name -> run) as one file that appears when complete."""
    with files.atomic_write(path, "wb") as stream:
        places = {}
        for name in sorted(runs):
            data = runs[name].to_bytes()
            places[name] = [stream.tell(), len(data)]
            stream.write(data)
        counts = {name: len(runs[name].record_sizes) for name in runs}
        footer = json.dumps({"places": places, "records": counts}).encode()
        stream.write(footer + _FOOTER.pack(len(footer), _MAGIC))


def read_footer(path: Path) -> dict[str, Any]:
    """Gives {"places": shard -> [offset, bytes], "records": shard -> their number} of a task."""
    with open(path, "rb") as stream:
        stream.seek(-_FOOTER.size, os.SEEK_END)
        size, magic = _FOOTER.unpack(stream.read())
        if magic != _MAGIC:
            raise ValueError(
                f"{path} is damaged. Remedy: remove its directory or begin anew with --overwrite."
            )
        stream.seek(-_FOOTER.size - size, os.SEEK_END)
        return json.loads(stream.read(size))


def read_run(path: Path, place: list[int]) -> EncodedRun:
    """Reads the run at [offset, bytes] of a task's file."""
    with open(path, "rb") as stream:
        stream.seek(place[0])
        return EncodedRun.from_bytes(stream.read(place[1]))


def is_unfinished(output: Path) -> bool:
    """Whether a run that can go on left its job here."""
    return (output / IN_PROGRESS / _JOB_FILE).exists()


class RecordJob:
    """The directory of an unfinished run, held by one process at a time.

    Args:
      output: the record directory.
      settings: JSON values that fix the output: options, tokenizer, input files.
      overwrite: whether records or an unfinished run of other settings are replaced.

    Raises:
      ValueError: an unfinished run of other settings and not `overwrite`; another process works
        here.
    """

    def __init__(self, output: Path, settings: Mapping[str, Any], *, overwrite: bool):
        self.output = output
        self.directory = output / IN_PROGRESS
        self._settings = json.loads(json.dumps(settings))
        self._lock = self._locked()
        before = self._read_settings()
        if before != self._settings:
            if before is not None and not overwrite:
                self._lock.close()
                raise ValueError(_other_settings(output, before, self._settings))
            self._clear()
            before = None
        self.resumed = before is not None
        self.replaces = any(output.glob("*.tfrecord")) and not self.resumed
        if self.resumed:
            self.replaces = (self.directory / "finished").exists()
        else:
            if self.replaces:
                (self.directory / "finished").mkdir(exist_ok=True)
            with files.atomic_write(self.directory / _JOB_FILE) as stream:
                json.dump(self._settings, stream, indent=1)
        for litter in [*self.directory.glob(".*.tmp"), *self.directory.glob("*.partial")]:
            litter.unlink()

    def task_path(self, number: int) -> Path:
        return self.directory / f"task-{number:08d}.run"

    def tasks(self) -> list[Path]:
        """The finished tasks in their order."""
        return sorted(self.directory.glob("task-*.run"))

    @property
    def all_encoded(self) -> bool:
        """Whether every task is finished."""
        return (self.directory / "encoded").exists()

    def mark_encoded(self) -> None:
        with files.atomic_write(self.directory / "encoded"):
            pass

    def shard_path(self, name: str) -> Path:
        """Where a finished shard stands until all are."""
        return (self.directory / "finished" if self.replaces else self.output) / name

    def state_path(self, name: str) -> Path:
        return self.directory / f"{name}.json"

    def unfinished_shards(self, names: list[str]) -> Iterator[str]:
        for name in names:
            if not (self.state_path(name).exists() and self.shard_path(name).exists()):
                yield name

    def finish(self, stats: Mapping[str, Any]) -> None:
        """Puts the records in their place, stats.json last, and removes this directory."""
        if self.replaces:
            for old in self.output.iterdir():
                if old.name != IN_PROGRESS and not self.shard_path(old.name).exists():
                    old.unlink()
            for new in sorted((self.directory / "finished").iterdir()):
                os.replace(new, self.output / new.name)
        with files.atomic_write(self.output / STATS_FILE) as stream:
            stream.write(json.dumps(stats, indent=2) + "\n")
        self.remove()

    def remove(self) -> None:
        """Removes all traces of this run, and the output directory if nothing else is in it."""
        # The job's file last: what is left when this is interrupted can still be told.
        for path in sorted(self.directory.iterdir(), key=lambda path: path.name == _JOB_FILE):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        self._lock.close()
        self.directory.rmdir()
        if not any(self.output.iterdir()):
            self.output.rmdir()

    def close(self) -> None:
        """Leaves what is done for another run."""
        self._lock.close()

    def _locked(self) -> IO[str]:
        self.directory.mkdir(parents=True, exist_ok=True)
        lock = open(self.directory / "lock", "w")
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise ValueError(
                f"Another process makes records in {self.output}. Remedy: wait until it is done, "
                "or choose a new output_dir."
            ) from error
        return lock

    def _read_settings(self) -> dict[str, Any] | None:
        try:
            return json.loads((self.directory / _JOB_FILE).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None

    def _clear(self) -> None:
        """Removes an unfinished run, and its shards unless older records stand in their place."""
        if not (self.directory / "finished").exists():
            for state in self.directory.glob("*.tfrecord.json"):
                (self.output / state.name.removesuffix(".json")).unlink(missing_ok=True)
        for path in self.directory.iterdir():
            if path.is_dir():
                shutil.rmtree(path)
            elif path.name != "lock":
                path.unlink()


def _other_settings(output: Path, before: dict[str, Any], now: dict[str, Any]) -> str:
    differing = [key for key in now if now[key] != before.get(key)]

    def shown(settings: dict[str, Any]) -> str:
        return ", ".join(
            f"{key}={str(settings.get(key))[:80]}" for key in differing if key != "input_files"
        )

    return (
        f"{output} holds an unfinished run with other {', '.join(differing)}. "
        f"Received: {shown(now)}; the unfinished run has {shown(before)}. Remedy: run it to its "
        "end with its own flags, or begin anew with --overwrite."
    )
