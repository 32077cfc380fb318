"""A progress bar over the bytes of input files."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator

from keras_bert_suite.data.compression import SUFFIXES
from keras_bert_suite.data.documents import expand_files

_REDRAW_BYTES = 1 << 17


class ByteProgress:
    """Counts bytes and shows them; `total` is the number seen."""

    def __init__(self) -> None:
        self.total = 0
        self._shown = 0
        self._bar = None
        self._task = None

    def advance(self, count: int) -> None:
        """Adds `count` bytes that were read."""
        self.total += count
        if self._bar is not None and self.total - self._shown >= _REDRAW_BYTES:
            self._shown = self.total
            self._bar.update(self._task, completed=self.total)

    def attach(self, bar, task) -> None:
        self._bar, self._task = bar, task


@contextlib.contextmanager
def byte_progress(pattern: str | None, description: str) -> Iterator[ByteProgress]:
    """Shows a bar with MB/s and the time left on a terminal, and nothing elsewhere.

    The total is the files' size on disk; for compressed files it is unknown: the bar counts.
    Without a pattern (files that others read) nothing is shown.

    Raises:
      ValueError: no file matches the pattern.
    """
    paths = [] if pattern is None else expand_files(pattern, directories=True)
    progress = ByteProgress()
    if not paths or not sys.stderr.isatty():
        yield progress
        return
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        DownloadColumn,
        Progress,
        TextColumn,
        TimeRemainingColumn,
        TransferSpeedColumn,
    )

    compressed = any(path.endswith((*SUFFIXES, ".parquet")) for path in paths)
    size = None if compressed else sum(map(os.path.getsize, paths))
    with Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
    ) as bar:
        progress.attach(bar, bar.add_task(description, total=size))
        yield progress
