"""Requests that arrive together are computed together: TF Serving's shared batch scheduler.

Requests are joined where they ask the same graph for the same outputs with inputs that differ in
their first dimension alone. A batch goes to a thread when it is full, or when its first request
has waited for `batch_timeout_micros`. Source of the semantics: tensorflow/serving,
batching/batching_session.cc, and batching/README.md.

Deviation: where a joined batch fails in the graph, its requests are run one by one, so that a
faulty request fails alone.
"""

from __future__ import annotations

import collections
import dataclasses
import logging
import threading
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from concurrent.futures import Future
from typing import Any

import grpc
import numpy as np

from keras_bert_suite.serving.server import deadlines
from keras_bert_suite.serving.server.batching_parameters import BatchingParameters
from keras_bert_suite.serving.server.errors import (
    ServingError,
    deadline_exceeded,
    invalid_argument,
)

_log = logging.getLogger(__name__)

Arrays = Mapping[str, np.ndarray]
Compute = Callable[[Arrays], Arrays]


@dataclasses.dataclass(kw_only=True)
class _Task:
    inputs: Arrays
    rows: int
    deadline: float | None
    answer: Future = dataclasses.field(default_factory=Future)


@dataclasses.dataclass(kw_only=True)
class _Batch:
    compute: Compute
    parameters: BatchingParameters
    due: float  # monotonic seconds
    tasks: list[_Task] = dataclasses.field(default_factory=list)
    rows: int = 0


class BatchScheduler:
    """Joins requests to batches and computes them on threads of its own.

    Args:
      parameters: sizes, waiting time, threads; all but the threads where `run` is told others.
    """

    def __init__(self, parameters: BatchingParameters):
        self.parameters = parameters
        # Per kind of request the batches in order; only the last one may still take requests.
        self._queues: dict[Hashable, collections.deque[_Batch]] = {}
        # By the identity of the parameters, each of which bounds the batches that wait under it.
        self._waiting: collections.Counter[int] = collections.Counter()
        self._changed = threading.Condition()
        self._closed = False
        self._threads = [
            threading.Thread(target=self._work, name=f"batch-{index}", daemon=True)
            for index in range(parameters.num_batch_threads)
        ]
        for thread in self._threads:
            thread.start()

    def run(
        self,
        kind: Hashable,
        inputs: Arrays,
        *,
        compute: Compute,
        deadline: float | None = None,
        parameters: BatchingParameters | None = None,
    ) -> dict[str, np.ndarray]:
        """The outputs of a request's rows, computed together with other requests of its kind.

        Args:
          kind: what must be equal for two requests to be joined, beside the shapes.
          inputs: arrays with the same number of rows, at least one array.
          compute: gives the outputs of joined inputs, each with a row for a row.
          deadline: time.monotonic() after which nobody waits for the answer.
          parameters: of this kind of request, always the same; None takes the scheduler's own.

        Raises:
          ServingError: INVALID_ARGUMENT for more rows than a batch takes, UNAVAILABLE when too much
            waits, DEADLINE_EXCEEDED; whatever `compute` raises for this request.
        """
        rows = _rows(inputs)
        parameters = parameters or self.parameters
        most = parameters.max_batch_size
        if rows > most and not parameters.enable_large_batch_splitting:
            raise invalid_argument(
                f"Task size {rows} is larger than maximum input batch size {most}"
            )
        key = (kind, tuple((a, x.dtype.str, x.shape[1:]) for a, x in sorted(inputs.items())))
        tasks = [
            _Task(
                inputs={alias: array[start : start + most] for alias, array in inputs.items()},
                rows=min(most, rows - start),
                deadline=deadline,
            )
            for start in range(0, rows, most)
        ]
        self._enqueue(key, tasks, compute, parameters)
        answers = [_wait(task) for task in tasks]
        if len(answers) == 1:
            return answers[0]
        return {alias: np.concatenate([each[alias] for each in answers]) for alias in answers[0]}

    def close(self) -> None:
        """Computes what waits and ends the threads."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
        for thread in self._threads:
            thread.join()

    def _enqueue(
        self,
        key: Hashable,
        tasks: Sequence[_Task],
        compute: Compute,
        parameters: BatchingParameters,
    ) -> None:
        with self._changed:
            if self._closed:
                raise ServingError(grpc.StatusCode.UNAVAILABLE, "The server is stopping.")
            news = 0
            try:
                for task in tasks:
                    news += self._add(key, task, compute, parameters)
            finally:  # those before one that found the queue full are in it
                # A request that joins a batch and leaves room changes nothing that a thread waits
                # for: under load most are such, and a thread woken in vain takes Python's lock.
                self._changed.notify(news)

    def _add(
        self, key: Hashable, task: _Task, compute: Compute, parameters: BatchingParameters
    ) -> bool:
        """Puts a task into a batch; whether that begins one or fills one."""
        queue = self._queues.get(key)
        begins = not queue or queue[-1].rows + task.rows > parameters.max_batch_size
        if begins:
            if self._waiting[id(parameters)] >= parameters.max_enqueued_batches:
                raise ServingError(
                    grpc.StatusCode.UNAVAILABLE,
                    "The batch scheduling queue to which this task was submitted is full",
                )
            due = time.monotonic() + parameters.batch_timeout_micros / 1e6
            queue = self._queues.setdefault(key, collections.deque())
            queue.append(_Batch(compute=compute, parameters=parameters, due=due))
            self._waiting[id(parameters)] += 1
        assert queue is not None
        queue[-1].tasks.append(task)
        queue[-1].rows += task.rows
        return begins or queue[-1].rows >= parameters.max_batch_size

    def _work(self) -> None:
        while (batch := self._next()) is not None:
            try:
                _compute(batch)
            except Exception as error:  # the thread must outlive whatever a batch meets
                _log.exception("A batch failed")
                for task in batch.tasks:
                    if not task.answer.done():
                        task.answer.set_exception(error)

    def _next(self) -> _Batch | None:
        """Waits for the batch that goes next: a full one, then the oldest; None at the end."""
        with self._changed:
            while True:
                first = min(
                    self._queues.values(),
                    key=lambda queue: (not self._full(queue), queue[0].due),
                    default=None,
                )
                if first is None:
                    if self._closed:
                        return None
                    self._changed.wait()
                    continue
                wait = first[0].due - time.monotonic()
                if wait <= 0 or self._closed or self._full(first):
                    return self._taken(first)
                self._changed.wait(wait)

    def _full(self, queue: collections.deque[_Batch]) -> bool:
        # A batch behind another one was begun because that one had no room.
        return len(queue) > 1 or queue[0].rows >= queue[0].parameters.max_batch_size

    def _taken(self, queue: collections.deque[_Batch]) -> _Batch:
        batch = queue.popleft()
        self._waiting[id(batch.parameters)] -= 1
        if not self._waiting[id(batch.parameters)]:
            del self._waiting[id(batch.parameters)]  # a model that goes leaves nothing behind
        for key in [key for key, each in self._queues.items() if not each]:
            del self._queues[key]
        if self._queues:
            self._changed.notify()  # another thread must mind what is left
        return batch


def _compute(batch: _Batch) -> None:
    tasks = _still_wanted(batch.tasks)
    if not tasks:
        return
    try:
        answers = _joined(tasks, batch.compute, batch.parameters)
    except Exception as error:
        if len(tasks) == 1:
            tasks[0].answer.set_exception(error)
            return
        for task in tasks:
            _compute(dataclasses.replace(batch, tasks=[task]))
        return
    for task, answer in zip(tasks, answers, strict=True):
        task.answer.set_result(answer)


def _still_wanted(tasks: Sequence[_Task]) -> list[_Task]:
    """The tasks that somebody waits for; the others get their error."""
    now, wanted = time.monotonic(), []
    for task in tasks:
        if task.deadline is not None and task.deadline <= now:
            task.answer.set_exception(deadline_exceeded())
        else:
            wanted.append(task)
    return wanted


def _joined(
    tasks: Sequence[_Task], compute: Compute, parameters: BatchingParameters
) -> list[dict[str, np.ndarray]]:
    rows = sum(task.rows for task in tasks)
    filler = parameters.padded_size(rows) - rows
    inputs = {}
    for alias, first in tasks[0].inputs.items():
        parts = [task.inputs[alias] for task in tasks]
        inputs[alias] = np.concatenate([*parts, *([first[:1]] * filler)])
    outputs = compute(inputs)
    for alias, array in outputs.items():
        if array.ndim == 0 or array.shape[0] != rows + filler:
            raise ServingError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f'Output "{alias}" must have a row for each of the {rows + filler} input rows to '
                f"be batched. Its shape: {list(array.shape)}",
            )
    answers, start = [], 0
    for task in tasks:
        end = start + task.rows
        answers.append({alias: array[start:end] for alias, array in outputs.items()})
        start = end
    return answers


def _rows(inputs: Arrays) -> int:
    """The common number of rows.

    Raises:
      ServingError: INVALID_ARGUMENT, an input without rows or with another number of them.
    """
    sizes = {array.shape[0] if array.ndim else None for array in inputs.values()}
    if len(sizes) != 1 or None in sizes:
        raise invalid_argument(
            "Batching inputs must have the same number of rows, at least one dimension each. "
            f"Received: { {alias: list(array.shape) for alias, array in inputs.items()} }"
        )
    return sizes.pop() or 0


def _wait(task: _Task) -> Any:
    try:
        return task.answer.result(deadlines.seconds_left(task.deadline))
    except TimeoutError:
        raise deadline_exceeded() from None
