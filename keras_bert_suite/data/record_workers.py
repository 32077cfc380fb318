"""The processes that encode blocks of text and merge shards."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

from keras_bert_suite import files
from keras_bert_suite.data.document_encoding import DocumentEncoder, EncodingOptions
from keras_bert_suite.data.document_reading import Block
from keras_bert_suite.data.record_job import read_run, write_task
from keras_bert_suite.data.shard_merging import shard_state, write_merged

Call = tuple[Callable, tuple]


class EncodingCall:
    """Picklable: encodes a task's blocks and writes them to its file.

    Args:
      make_tokenizer: makes the tokenizer; called once in every process.
      options: what to make of the text.
    """

    def __init__(self, make_tokenizer: Callable[[], Any], options: EncodingOptions):
        self._make_tokenizer = make_tokenizer
        self._options = options

    def __call__(self, path: Path, blocks: Sequence[Block]) -> None:
        global _encoder
        if _encoder is None:
            _encoder = DocumentEncoder(self._make_tokenizer(), self._options)
        write_task(path, _encoder.encode(blocks))


_encoder: DocumentEncoder | None = None  # of a worker process


def merge_shard(
    shard: Path,
    state: Path,
    partial: Path,
    places: Sequence[tuple[Path, list[int]]],
    deduplicate: bool,
) -> None:
    """Writes one shard and its statistics from the runs at `places`; both appear when complete."""
    runs = [read_run(path, place) for path, place in places]
    statistics = write_merged(partial, runs, deduplicate=deduplicate)
    with open(partial, "rb") as stream:
        os.fsync(stream.fileno())
    with files.atomic_write(state) as stream:
        stream.write(shard_state(statistics))
    os.replace(partial, shard)


class InProcess:
    """Runs calls here, one after the other."""

    def run(self, calls: Iterable[Call]) -> Iterator[Any]:
        for function, arguments in calls:
            yield function(*arguments)

    def __enter__(self) -> InProcess:
        return self

    def __exit__(self, *_: Any) -> None:
        global _encoder
        _encoder = None


class Workers:
    """Runs calls in processes, with a bounded number of them under way.

    Args:
      count: processes.
    """

    def __init__(self, count: int):
        self._count = count
        self._executor = ProcessPoolExecutor(
            count,
            mp_context=multiprocessing.get_context("spawn"),
            initializer=_start_worker,
        )

    def run(self, calls: Iterable[Call]) -> Iterator[Any]:
        """Gives the results in the order of the calls.

        Raises:
          ChildProcessError: a process died.
        """
        pending: deque[Future] = deque()
        try:
            for function, arguments in calls:
                pending.append(self._executor.submit(function, *arguments))
                if len(pending) > 2 * self._count:
                    yield pending.popleft().result()
            while pending:
                yield pending.popleft().result()
        except BrokenProcessPool as error:
            raise ChildProcessError(
                "A worker process died, perhaps for lack of memory or because it could not load "
                "the tokenizer. Remedy: look at its output above and run the same command again, "
                f"perhaps with --workers={max(1, self._count // 2)}; what is done is kept."
            ) from error

    def __enter__(self) -> Workers:
        return self

    def __exit__(self, *_: Any) -> None:
        self._executor.shutdown(wait=True, cancel_futures=True)


def _start_worker() -> None:
    """Prepares a worker process: one thread, no orphan, Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.set_visible_devices([], "GPU")


def _exit_after(parent: Any) -> None:
    """Leaves when the parent was killed, which nothing else would tell this process."""
    parent.join()
    os._exit(1)
