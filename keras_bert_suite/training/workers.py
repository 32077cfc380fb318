"""What the workers of a multi-worker run know of each other: who is up, and who is gone.

TensorFlow's coordination service sends heartbeats (a worker that is silent for 10 s is gone) and
aborts the collectives, so that a worker in a step gets an error. Three things are left to do here:
waiting for all to start, which TensorFlow does for ever and deaf to Ctrl-C; a worker that computes
alone for long (evaluates, writes) and so meets no collective; and saying which worker is gone.
"""

from __future__ import annotations

import contextlib
import os
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import tensorflow as tf

from keras_bert_suite.training.clusters import Cluster

# How the other workers see that one of them is gone: its connection breaks, the coordination
# service aborts the collectives, or the service's own worker answers no more.
_WORKER_GONE = (
    tf.errors.UnavailableError,
    tf.errors.AbortedError,
    tf.errors.CancelledError,
    tf.errors.DeadlineExceededError,
)
_REMEDY = "Remedy: start all workers again with the same command; they go on from the newest state."
_PORT_SECONDS = 60.0  # for the end of a worker of the run before, which may still hold the port
_UNHEALTHY = re.compile(r"unhealthy[^:]*:((?:\s*/job:\w+/replica:\d+/task:\d+)+)")
_TASK = re.compile(r"/task:(\d+)")


def cluster_of(strategy) -> Cluster | None:
    """Gives the workers of a multi-worker strategy, None for any other and for a single worker."""
    if not isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy):
        return None
    resolver = strategy.cluster_resolver
    addresses = tuple(resolver.cluster_spec().as_dict().get("worker", ()))
    return Cluster(addresses, resolver.task_id, "strategy") if len(addresses) > 1 else None


def wait_for_workers(
    cluster: Cluster,
    *,
    timeout: float,
    say: Callable[[str], None] = lambda line: print(line, file=sys.stderr, flush=True),
    say_after: float = 10.0,
) -> None:
    """Comes back when every worker has been seen: it listens on its port, by us or TensorFlow.

    Args:
      cluster: the workers.
      timeout: seconds to wait at most.
      say: called once, with a line, when workers are still missing after `say_after` seconds.

    Raises:
      ValueError: this worker's port is taken, or the other workers did not come up in time.
    """
    started = time.monotonic()
    missing = [i for i in range(len(cluster.addresses)) if i != cluster.index]
    port = _port(cluster.addresses[cluster.index])
    with _listening(cluster, port, seconds=min(timeout, _PORT_SECONDS)):
        while missing:
            missing = [i for i in missing if not is_up(cluster.addresses[i])]
            waited = time.monotonic() - started
            if not missing:
                return
            names = ", ".join(cluster.name(i) for i in missing)
            if waited > timeout:
                raise ValueError(
                    f"All {len(cluster.addresses)} workers must come up within {timeout:g} s "
                    f"(--worker_timeout). Received no answer from {names}. Remedy: start the same "
                    "command on every worker, each with its own number, and look at their logs "
                    "and at the firewall."
                )
            if waited > say_after:
                say(f"{cluster.name(cluster.index)} waits for {names}, up to {timeout:g} s")
                say_after = float("inf")
            time.sleep(0.2)


@contextlib.contextmanager
def _listening(cluster: Cluster, port: int, *, seconds: float) -> Iterator[None]:
    """Holds the port that TensorFlow's server will have, so that the others see this worker."""
    end = time.monotonic() + seconds
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        while True:
            try:
                listener.bind(("", port))
                break
            except OSError as error:
                if time.monotonic() > end:
                    raise ValueError(
                        f"The port of {cluster.name(cluster.index)} must be free. Received: "
                        f"{error.strerror}. Remedy: end the process that holds it, or choose "
                        "another port for all workers."
                    ) from error
                time.sleep(0.5)
        listener.listen(128)
        yield


def is_up(address: str, *, timeout: float = 3.0) -> bool:
    """Whether something listens at host:port."""
    try:
        host = address.rsplit(":", 1)[0].strip("[]")
        socket.create_connection((host, _port(address)), timeout).close()
    except OSError:
        return False
    return True


class WorkerWatch:
    """While entered, ends this process when another worker is gone and nothing else has noticed.

    A thread looks every `every` seconds whether the other workers' ports answer. When one has not
    answered `tries` times in a row, the process has `grace` seconds to end by the error that its
    next collective gets; then the thread says which worker is gone and ends it, with status 1.
    Together less than 30 s. All workers must leave the context together (after a collective).

    Args:
      cluster: the workers; None watches nothing.
      end: called with the message instead of ending the process, for tests.
    """

    def __init__(
        self,
        cluster: Cluster | None,
        *,
        every: float = 3.0,
        tries: int = 2,
        grace: float = 10.0,
        end: Callable[[str], None] | None = None,
    ):
        self._cluster, self._every, self._tries, self._grace = cluster, every, tries, grace
        self._end = end or _end_process
        self._left = threading.Event()

    def __enter__(self):
        if self._cluster is not None:
            threading.Thread(target=self._watch, daemon=True, name="worker watch").start()
        return self

    def __exit__(self, *error):
        self._left.set()

    def _watch(self) -> None:
        cluster = self._cluster
        misses = dict.fromkeys(range(len(cluster.addresses)), 0)
        del misses[cluster.index]
        while not self._left.wait(self._every):
            for index in misses:
                up = is_up(cluster.addresses[index])
                misses[index] = 0 if up else misses[index] + 1
            gone = [index for index, count in misses.items() if count >= self._tries]
            if gone:
                if not self._left.wait(self._grace):
                    self._end(_message(cluster, gone))
                return


@contextlib.contextmanager
def worker_errors(strategy) -> Iterator[None]:
    """Turns what TensorFlow raises when another worker is gone into one clear OSError."""
    try:
        yield
    except _WORKER_GONE as error:
        cluster = cluster_of(strategy)
        if cluster is None:
            raise
        # As TensorFlow's text is pages long, it goes into the chain (--debug) alone.
        raise OSError(_message(cluster, _gone(cluster, str(error.message)))) from error


def _gone(cluster: Cluster, text: str) -> list[int]:
    """The workers that are gone, by TensorFlow's heartbeats, or else because no port answers.

    Not any worker that the text names: the neighbour that reports an error got it from the next.
    """
    others = set(range(len(cluster.addresses))) - {cluster.index}
    named = {int(i) for part in _UNHEALTHY.findall(text) for i in _TASK.findall(part)} & others
    return sorted(named) or [i for i in sorted(others) if not is_up(cluster.addresses[i])]


def _message(cluster: Cluster, gone: Sequence[int]) -> str:
    names = " and ".join(cluster.name(i) for i in gone) or "another worker"
    verb = "are" if len(gone) > 1 else "is"
    return f"{names} {verb} gone, so that worker {cluster.index} stops too. {_REMEDY}"


def _end_process(message: str) -> None:
    # The main thread may stand in TensorFlow, where no exception reaches it.
    print(f"error: {message}", file=sys.stderr, flush=True)
    os._exit(1)


def _port(address: str) -> int:
    return int(address.rsplit(":", 1)[1])
