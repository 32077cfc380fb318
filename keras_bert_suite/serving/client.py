"""A client of any server with TF Serving's contract, over gRPC or REST, with and without asyncio.

The REST path needs neither TensorFlow nor grpcio; the gRPC path imports TF Serving's stubs, and
with them all of TensorFlow (2-3 s), when the first client is made.
"""

from __future__ import annotations

import asyncio
import functools
import random
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from keras_bert_suite.serving.client_tls import Tls
from keras_bert_suite.serving.transports import (
    UNAVAILABLE,
    Columns,
    Grpc,
    RequestError,
    Rest,
    Transport,
)

__all__ = ["AsyncClient", "Client", "Columns", "RequestError", "Tls"]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0  # seconds
_ROWS = 128


class Client:
    """Asks one model of one server; safe to use from several threads.

    Args:
      server: HOST:PORT of gRPC, or of REST when `rest`.
      model_name: the model's name at the server.
      version: None for the newest.
      label: a version label instead of a version.
      rest: whether to speak REST.
      timeout: seconds for each call, retries included.
      tls: whom to trust and who asks, on a connection by TLS; None for one in the clear.

    Raises:
      ValueError: `server` is no HOST:PORT, or both version and label are given.
    """

    def __init__(
        self,
        server: str,
        *,
        model_name: str = "default",
        version: int | None = None,
        label: str | None = None,
        rest: bool = False,
        timeout: float = 30.0,
        tls: Tls | None = None,
    ):
        host, _, port = server.rpartition(":")
        if not host or "/" in host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"--server must be HOST:PORT. Received: {server!r}")
        if version is not None and label is not None:
            raise ValueError("Give a version or a label, not both.")
        if timeout <= 0:
            raise ValueError(f"timeout must be positive seconds. Received: {timeout}")
        self._timeout = timeout
        transport = Rest if rest else Grpc
        self._transport: Transport = transport(
            server, model_name, version=version, label=label, tls=tls
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def predict(self, inputs: Mapping[str, list], *, signature: str = "serving_default") -> Columns:
        """The outputs of a signature, each as nested lists with the batch first.

        Args:
          inputs: alias -> nested list of str, int, float or bool.
          signature: the signature's name.

        Raises:
          RequestError: what the server says, or that it cannot be reached within the timeout.
        """
        deadline = time.monotonic() + self._timeout
        return _with_retries(
            lambda seconds: self._transport.predict(inputs, signature, seconds), deadline=deadline
        )

    def answers(
        self,
        inputs: Mapping[str, list],
        *,
        signature: str = "serving_default",
        batch_size: int = _ROWS,
    ) -> list[dict[str, Any]]:
        """One object a row: {"label": "yes", "scores": [0.1, 0.9], ...}; raises as `predict`.

        Args:
          inputs, signature: see `predict`.
          batch_size: rows of a request; more are sent in parts, each with a timeout of its own.
        """
        answers = []
        for part in _parts(inputs, batch_size):
            answers += _rows(self.predict(part, signature=signature))
        return answers


class AsyncClient:
    """The same for asyncio: `async with AsyncClient(...) as client: await client.answers(...)`.

    It works on threads of its own. A call that is cancelled is no longer waited for; what was sent
    goes on until its timeout.

    Args:
      server: as `Client`.
      max_concurrency: requests on their way at once; more wait for their turn.
      options: the other arguments of `Client`.

    Raises:
      ValueError: as `Client`; max_concurrency below 1.
    """

    def __init__(self, server: str, *, max_concurrency: int = 8, **options: Any):
        if max_concurrency < 1:
            raise ValueError(f"max_concurrency must be at least 1. Received: {max_concurrency}")
        self._client = Client(server, **options)
        self._threads = ThreadPoolExecutor(max_concurrency, thread_name_prefix="client")

    async def __aenter__(self) -> AsyncClient:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def close(self) -> None:
        """Waits for what is on its way."""
        await asyncio.to_thread(self._threads.shutdown)
        self._client.close()

    async def predict(
        self, inputs: Mapping[str, list], *, signature: str = "serving_default"
    ) -> Columns:
        """See `Client.predict`."""
        call = functools.partial(self._client.predict, inputs, signature=signature)
        return await asyncio.get_running_loop().run_in_executor(self._threads, call)

    async def answers(
        self,
        inputs: Mapping[str, list],
        *,
        signature: str = "serving_default",
        batch_size: int = _ROWS,
    ) -> list[dict[str, Any]]:
        """See `Client.answers`; the parts are sent at once, as far as max_concurrency allows."""
        parts = _parts(inputs, batch_size)
        columns = await asyncio.gather(*(self.predict(part, signature=signature) for part in parts))
        return [row for each in columns for row in _rows(each)]


def _parts(inputs: Mapping[str, list], batch_size: int) -> Iterator[dict[str, list]]:
    """The inputs in parts of at most so many rows; one empty part for no rows."""
    for start in range(0, max([1, *map(len, inputs.values())]), batch_size):
        yield {alias: rows[start : start + batch_size] for alias, rows in inputs.items()}


def _rows(columns: Columns) -> list[dict[str, Any]]:
    rows = zip(*columns.values(), strict=True)
    return [dict(zip(columns, row, strict=True)) for row in rows]


def _with_retries(call: Callable[[float], Columns], *, deadline: float) -> Columns:
    """Calls again, after pauses that double, while the server is unavailable and time is left.

    A pause is drawn from its upper half, so that clients that failed together come back apart.
    """
    longest = _FIRST_PAUSE
    while True:
        pause = random.uniform(longest / 2, longest)
        try:
            return call(max(0.001, deadline - time.monotonic()))
        except RequestError as error:
            if error.code != UNAVAILABLE or time.monotonic() + pause >= deadline:
                raise
        time.sleep(pause)
        longest = min(2 * longest, _LONGEST_PAUSE)
