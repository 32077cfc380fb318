"""A server: models loaded, ports opened, requests drained at the end."""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from keras_bert_suite.serving.server.config import ModelSettings
from keras_bert_suite.serving.server.errors import ServingError
from keras_bert_suite.serving.server.grpc_service import GrpcOptions, GrpcServer
from keras_bert_suite.serving.server.manager import ModelManager
from keras_bert_suite.serving.server.rest import RestOptions, RestServer
from keras_bert_suite.serving.server.servable import RunLimits, Servable

_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How to serve.

    Attributes:
      host: the interface to listen on; 127.0.0.1 is reached from this machine alone.
      port: of gRPC; 0 for none.
      rest_api_port: of REST; 0 for none.
      poll_seconds: between two looks at the version directories; 0 looks once.
      config_file: a model config file to follow, None for none.
      config_poll_seconds: between two looks at it; 0 looks once.
      num_threads: requests that are worked on at once, for each of gRPC and REST.
      max_queued: gRPC requests that may wait beyond these before RESOURCE_EXHAUSTED, and REST
        connections that may be open.
      max_message_bytes: the largest request.
      max_batch_rows: the most rows of a request.
      grace_seconds: how long requests in work may go on at the end.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    rest_api_port: int = 0
    poll_seconds: float = 1.0
    config_file: Path | None = None
    config_poll_seconds: float = 0.0
    num_threads: int = 8
    max_queued: int = 100
    max_message_bytes: int = 16 << 20
    max_batch_rows: int = 1024
    grace_seconds: float = 30.0

    def __post_init__(self):
        if not self.port and not self.rest_api_port:
            raise ValueError("--port and --rest_api_port are both 0: nothing would listen.")
        if self.port == self.rest_api_port:
            raise ValueError(f"--port and --rest_api_port must differ. Received: {self.port} twice")
        for flag, port in (("--port", self.port), ("--rest_api_port", self.rest_api_port)):
            if not 0 <= port <= 65535:
                raise ValueError(f"{flag} must be in 0..65535. Received: {port}")
        for field, least in (
            ("poll_seconds", 0),
            ("config_poll_seconds", 0),
            ("grace_seconds", 0),
            ("num_threads", 1),
            ("max_queued", 1),
            ("max_message_bytes", 1024),
            ("max_batch_rows", 1),
        ):
            value = getattr(self, field)
            if value < least:
                raise ValueError(f"{field} must be at least {least}. Received: {value}")


class Server:
    """Loads models and answers for them.

    Args:
      models: what to serve, by name.
      options: how.

    Raises:
      ValueError: a model cannot be loaded; says which and why.
      OSError: a port is taken.
    """

    def __init__(self, models: Mapping[str, ModelSettings], *, options: ServerOptions):
        self._options = options
        for port in filter(None, (options.port, options.rest_api_port)):
            _check_free(options.host, port)  # before the models take their seconds to load
        limits = RunLimits(
            max_batch_rows=options.max_batch_rows,
            concurrency=threading.Semaphore(max(2, os.cpu_count() or 1)),
        )

        def load(path, *, name, version):
            return Servable(path, name=name, version=version, limits=limits)

        self.manager = ModelManager(load=load)
        try:
            self.manager.apply(models)
        except ServingError as error:
            raise ValueError(error.message) from error
        # As in TF Serving, the ports open after the models are loaded.
        self._faces = self._listen()

    def start(self) -> None:
        """Answers requests and follows new versions, on threads of its own."""
        for face in self._faces:
            face.start()
        self.manager.watch(
            poll_seconds=self._options.poll_seconds,
            config_file=self._options.config_file,
            config_poll_seconds=self._options.config_poll_seconds,
        )

    def stop(self) -> None:
        """Refuses new requests, lets those in work end, unloads the models."""
        threads = [
            threading.Thread(
                target=face.stop, kwargs={"grace_seconds": self._options.grace_seconds}
            )
            for face in self._faces
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        self.manager.close()

    def describe(self) -> str:
        """What is served where, in one line."""
        host, parts = self._options.host, []
        if self._options.port:
            parts.append(f"gRPC on {_address(host, self._options.port)}")
        if self._options.rest_api_port:
            parts.append(f"REST on http://{_address(host, self._options.rest_api_port)}/v1/models/")
        models = ", ".join(
            f"{name} version {'+'.join(map(str, versions))}"
            for name, versions in self.manager.available.items()
        )
        return f"Serving {models}: {', '.join(parts)}"

    def _listen(self) -> list[GrpcServer | RestServer]:
        options, faces = self._options, []
        if options.rest_api_port:
            rest_options = RestOptions(
                host=options.host,
                port=options.rest_api_port,
                num_threads=options.num_threads,
                max_connections=options.max_queued + options.num_threads,
                max_body_bytes=options.max_message_bytes,
            )
            faces.append(RestServer(self.manager, options=rest_options))
        if options.port:
            grpc_options = GrpcOptions(
                address=_address(options.host, options.port),
                num_threads=options.num_threads,
                max_queued=options.max_queued,
                max_message_bytes=options.max_message_bytes,
            )
            faces.append(GrpcServer(self.manager, options=grpc_options))
        return faces


def serve(models: Mapping[str, ModelSettings], *, options: ServerOptions) -> None:
    """Serves until SIGTERM or Ctrl-C; says in one line on stdout when it is ready.

    Raises: as `Server`.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = Server(models, options=options)
    if not stop.is_set():
        server.start()
        print(server.describe(), flush=True)
        stop.wait()
    server.stop()
    print("Stopped; what had begun was answered.", flush=True)


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise OSError(
                f"Cannot listen on {_address(host, port)}: {error.strerror or error}. Choose "
                "another port, or stop the process that uses this one."
            ) from error
