"""A server: models loaded, ports opened, requests drained at the end."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping

from keras_bert_suite.serving.server.config import ModelSettings
from keras_bert_suite.serving.server.errors import ServingError
from keras_bert_suite.serving.server.grpc_service import GrpcOptions, GrpcServer
from keras_bert_suite.serving.server.manager import ModelManager
from keras_bert_suite.serving.server.options import ServerOptions
from keras_bert_suite.serving.server.rest import RestOptions, RestServer
from keras_bert_suite.serving.server.servable import RunLimits, Servable

_log = logging.getLogger(__name__)


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
        options = self._options
        faces: list[GrpcServer | RestServer] = []
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
