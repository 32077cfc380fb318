"""One loaded version of one model: a session, its signatures, and the leases on it."""

from __future__ import annotations

import contextlib
import dataclasses
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow.core.protobuf import config_pb2

from keras_bert_suite.serving.server import deadlines
from keras_bert_suite.serving.server.batching import BatchScheduler
from keras_bert_suite.serving.server.batching_parameters import BatchingParameters
from keras_bert_suite.serving.server.errors import (
    deadline_exceeded,
    invalid_argument,
    resource_exhausted,
)
from keras_bert_suite.serving.server.imports import register_text_ops
from keras_bert_suite.serving.server.monitoring import Metrics
from keras_bert_suite.serving.server.session_options import SessionOptions

register_text_ops()  # those of tokenizing graphs

# Each set of fetched outputs is compiled once; a client chooses the set by its output filter.
_MAX_CALLABLES = 64


@dataclasses.dataclass(frozen=True, kw_only=True)
class Port:
    """One input or output of a signature.

    Attributes:
      tensor: the name in the graph, `serving_default_text:0`.
      dtype: the type.
    """

    tensor: str
    dtype: tf.DType

    def check(self, array: np.ndarray, *, index: int) -> None:
        """Refuses an array of another type. As in TF Serving the shape is the graph's to judge.

        Raises:
          ServingError: INVALID_ARGUMENT.
        """
        dtype = tf.string if array.dtype == object else tf.dtypes.as_dtype(array.dtype)
        if dtype != self.dtype:
            raise invalid_argument(
                f"Expects arg[{index}] to be {self.dtype.name} but {dtype.name} is provided"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Signature:
    """A named way to run the graph; `inputs` and `outputs` map aliases to ports, sorted."""

    name: str
    inputs: Mapping[str, Port]
    outputs: Mapping[str, Port]


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunLimits:
    """What bounds the runs of all models of a server, and who counts them.

    Attributes:
      max_batch_rows: the largest size of the first dimension of an input.
      concurrency: how many runs go on at once; others wait their turn.
      batching: joins requests to batches; None runs each alone.
      batching_parameters: of this model's batches; None takes the scheduler's own.
      metrics: counts the runs.
    """

    max_batch_rows: int = 256
    concurrency: threading.Semaphore = dataclasses.field(
        default_factory=lambda: threading.Semaphore(4)
    )
    batching: BatchScheduler | None = None
    batching_parameters: BatchingParameters | None = None
    metrics: Metrics | None = None


class Servable:
    """A SavedModel version in a session of its own.

    Args:
      path: the version directory.
      name: the model's name.
      version: the version's number.
      limits: bounds on a run.
      session_options: which of its graphs, and how TensorFlow runs it.

    Raises:
      OSError or tf.errors.OpError: the directory holds no SavedModel that can be loaded.
    """

    def __init__(
        self,
        path: Path,
        *,
        name: str,
        version: int,
        limits: RunLimits | None = None,
        session_options: SessionOptions | None = None,
    ):
        self.path, self.name, self.version = path, name, version
        self._limits = limits or RunLimits()
        self.session_options = session_options or SessionOptions()
        self._session = tf.compat.v1.Session(graph=tf.Graph(), config=self.session_options.config)
        self._callables: dict[tuple, object] = {}
        self._lock = threading.Lock()
        self._leases, self._retired = 0, False
        try:
            with self._session.graph.as_default():
                meta_graph = tf.compat.v1.saved_model.load(
                    self._session, [*self.session_options.tags], str(path)
                )
        except BaseException:
            self._session.close()
            raise
        # The protos as they are, for GetModelMetadata; init ops are no signatures.
        self.signature_defs = {
            key: value
            for key, value in meta_graph.signature_def.items()
            if not key.startswith("__saved_model")
        }
        self.signatures = {
            key: _signature(key, value) for key, value in self.signature_defs.items()
        }

    def run(
        self,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        outputs: Sequence[str],
    ) -> dict[str, np.ndarray]:
        """The arrays of the named outputs.

        It waits for its turn until the request's deadline (deadlines.py); what runs then is let run
        to its end.

        Args:
          signature: one of `self.signatures`.
          inputs: an array for each of the signature's inputs; strings as objects.
          outputs: aliases of outputs, without duplicates.

        Raises:
          ServingError: an input does not fit the signature, or has too many rows; the deadline
            passed before the run; with batching, see `BatchScheduler.run`.
          tf.errors.OpError: the graph refuses the input.
        """
        for index, (alias, port) in enumerate(signature.inputs.items()):
            port.check(inputs[alias], index=index)
        self._check_rows(inputs)
        fetched = tuple(sorted(outputs))
        deadline, scheduler = deadlines.current(), self._limits.batching
        if scheduler is None or any(array.size == 0 for array in inputs.values()):
            return self._run(signature, inputs, fetched, deadline=deadline)
        return scheduler.run(
            (self, signature.name, fetched),
            inputs,
            compute=lambda joined: self._run(signature, joined, fetched),
            deadline=deadline,
            parameters=self._limits.batching_parameters,
        )

    def _run(
        self,
        signature: Signature,
        inputs: Mapping[str, np.ndarray],
        fetched: tuple[str, ...],
        *,
        deadline: float | None = None,
    ) -> dict[str, np.ndarray]:
        function = self._callable(signature, fetched)
        if not self._limits.concurrency.acquire(timeout=deadlines.seconds_left(deadline)):
            raise deadline_exceeded()
        start = time.perf_counter()
        try:
            arrays = function(*(inputs[alias] for alias in signature.inputs))
        except UnicodeDecodeError as error:
            # The graph's refusal quotes a client's bytes, and Python cannot make a text of it.
            raise invalid_argument(error.object.decode("utf-8", "replace")) from error
        finally:
            self._limits.concurrency.release()
        if self._limits.metrics is not None:
            rows = max((len(array) for array in inputs.values() if array.ndim), default=0)
            seconds = time.perf_counter() - start
            self._limits.metrics.ran(model_name=self.name, rows=rows, seconds=seconds)
        return dict(zip(fetched, map(np.asarray, arrays), strict=True))

    @contextlib.contextmanager
    def lease(self) -> Iterator[Servable | None]:
        """Keeps the session open inside the block; yields None when it is closed already."""
        with self._lock:
            alive = not self._retired
            self._leases += alive
        try:
            yield self if alive else None
        finally:
            if alive:
                self._release()

    def retire(self) -> None:
        """Closes the session as soon as the last lease ends; new leases are refused."""
        with self._lock:
            self._retired = True
            idle = self._leases == 0
        if idle:
            self._close()

    def _release(self) -> None:
        with self._lock:
            self._leases -= 1
            last = self._retired and self._leases == 0
        if last:
            self._close()

    def _close(self) -> None:
        self._callables.clear()
        self._session.close()

    def _check_rows(self, inputs: Mapping[str, np.ndarray]) -> None:
        for alias, array in inputs.items():
            if array.ndim and array.shape[0] > self._limits.max_batch_rows:
                raise resource_exhausted(
                    f'Input "{alias}" has {array.shape[0]} rows, more than the limit of '
                    f"{self._limits.max_batch_rows}; send it in parts"
                )

    def _callable(self, signature: Signature, outputs: tuple[str, ...]):
        key = (signature.name, outputs)
        with self._lock:
            if key not in self._callables:
                if len(self._callables) >= _MAX_CALLABLES:
                    self._callables.clear()
                # Session.make_callable would compare fed shapes with the placeholders', which TF
                # Serving leaves to the graph, and costs more a call.
                self._callables[key] = self._session._make_callable_from_options(
                    config_pb2.CallableOptions(
                        feed=[port.tensor for port in signature.inputs.values()],
                        fetch=[signature.outputs[alias].tensor for alias in outputs],
                        run_options=self.session_options.run_options,
                    )
                )
            return self._callables[key]


def _signature(name: str, definition) -> Signature:
    return Signature(
        name=name,
        inputs={alias: _port(definition.inputs[alias]) for alias in sorted(definition.inputs)},
        outputs={alias: _port(definition.outputs[alias]) for alias in sorted(definition.outputs)},
    )


def _port(info) -> Port:
    return Port(tensor=info.name, dtype=tf.dtypes.as_dtype(info.dtype))
