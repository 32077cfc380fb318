"""A server: models loaded, ports opened, requests drained at the end."""

from __future__ import annotations

import dataclasses
import errno
import logging
import os
import signal
import socket
import threading
from collections.abc import Mapping
from pathlib import Path

from keras_bert_suite.serving.server import config
from keras_bert_suite.serving.server.batching import BatchScheduler
from keras_bert_suite.serving.server.batching_parameters import BatchingParameters
from keras_bert_suite.serving.server.config import ModelSettings
from keras_bert_suite.serving.server.errors import ServingError
from keras_bert_suite.serving.server.grpc_service import GrpcOptions, GrpcServer
from keras_bert_suite.serving.server.manager import ModelManager
from keras_bert_suite.serving.server.model import LoadPolicy
from keras_bert_suite.serving.server.monitoring import Metrics, read_metrics_path
from keras_bert_suite.serving.server.options import ServerOptions
from keras_bert_suite.serving.server.rest import RestOptions, RestServer
from keras_bert_suite.serving.server.servable import RunLimits, Servable
from keras_bert_suite.serving.server.session_options import SessionOptions

_log = logging.getLogger(__name__)

# servables/tensorflow/bundle_factory_util.h
_BATCHING_FILE = "batching_params.pbtxt"


class Server:
    """Loads models and answers for them.

    Args:
      models: what to serve, by name.
      options: how.
      stop: once it is set, a model that fails to load is not tried again.

    Raises:
      ValueError: a model cannot be loaded; says which and why.
      OSError: a port is taken.
    """

    def __init__(
        self,
        models: Mapping[str, ModelSettings],
        *,
        options: ServerOptions,
        stop: threading.Event | None = None,
    ):
        self._options = options
        for port in filter(None, (options.port, options.rest_api_port)):
            _check_free(options.host, port)  # before the models take their seconds to load
        self._batching = _batching(options)
        self.metrics = Metrics(known_models=lambda: self.manager.available)
        limits = RunLimits(
            max_batch_rows=options.max_batch_rows,
            concurrency=threading.Semaphore(max(2, os.cpu_count() or 1)),
            batching=self._batching,
            metrics=self.metrics,
        )
        session_options = SessionOptions.of(options)
        per_model = options.enable_per_model_batching_parameters

        def load(path, *, name, version):
            return Servable(
                path,
                name=name,
                version=version,
                limits=_own_batching(limits, path) if per_model else limits,
                session_options=session_options,
            )

        self.manager = ModelManager(
            load=load,
            policy=_load_policy(options),
            labels_may_wait=options.allow_version_labels_for_unavailable_models,
            num_threads=options.num_load_threads,
            stop=stop,
        )
        try:
            self.manager.apply(models)
        except ServingError as error:
            raise ValueError(error.message) from error
        # As in TF Serving, the ports open after the models are loaded.
        self._faces = self._listen()

    def start(self) -> None:
        """Answers requests and follows new versions, on threads of its own."""
        config_file = self._options.model_config_file
        for face in self._faces:
            face.start()
        self.manager.watch(
            poll_seconds=self._options.file_system_poll_wait_seconds,
            config_file=Path(config_file) if config_file else None,
            config_poll_seconds=self._options.model_config_file_poll_wait_seconds,
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
        if self._batching is not None:
            self._batching.close()
        self.manager.close()

    def describe(self) -> str:
        """What is served where, in one line."""
        host, parts = self._options.host, []
        if self._options.port:
            parts.append(f"gRPC on {_address(host, self._options.port)}")
        if self._options.grpc_socket_path:
            parts.append(f"gRPC on unix:{self._options.grpc_socket_path}")
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
            faces.append(self._rest(options))
        addresses = [_address(options.host, options.port)] if options.port else []
        if options.grpc_socket_path:
            addresses.append(f"unix:{options.grpc_socket_path}")
        if addresses:
            grpc_options = GrpcOptions(
                addresses=addresses,
                ssl_config_file=options.ssl_config_file,
                channel_arguments=options.channel_arguments,
                num_threads=options.grpc_max_threads,
                max_queued=options.max_queued_requests,
                max_message_bytes=options.max_message_bytes,
                as_content=options.enable_serialization_as_tensor_content,
            )
            faces.append(GrpcServer(self.manager, options=grpc_options, metrics=self.metrics))
        return faces

    def _rest(self, options: ServerOptions) -> RestServer:
        metrics_path = None
        if options.monitoring_config_file:
            metrics_path = read_metrics_path(options.monitoring_config_file)
        rest_options = RestOptions(
            host=options.host,
            port=options.rest_api_port,
            num_threads=options.rest_api_num_threads,
            max_connections=options.max_queued_requests + options.rest_api_num_threads,
            max_body_bytes=options.max_message_bytes,
            timeout_seconds=options.rest_api_timeout_in_ms / 1000,
            metrics_path=metrics_path,
            cors=options.rest_api_enable_cors_support,
            web_page=options.web_page,
        )
        return RestServer(self.manager, metrics=self.metrics, options=rest_options)


def serve(options: ServerOptions) -> None:
    """Serves until SIGTERM or Ctrl-C; says in one line on stdout when it is ready.

    Raises: as `Server`.
    """
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    server = Server(_models(options), options=options, stop=stop)
    if not stop.is_set():
        server.start()
        print(server.describe(), flush=True)
        stop.wait()
    server.stop()
    print("Stopped; what had begun was answered.", flush=True)


def _models(options: ServerOptions) -> Mapping[str, ModelSettings]:
    if options.model_config_file:
        return config.read_config_file(options.model_config_file)
    return config.one_model(options.model_name, options.model_base_path)


def _batching(options: ServerOptions) -> BatchScheduler | None:
    if not options.enable_batching:
        return None
    path = options.batching_parameters_file
    return BatchScheduler(BatchingParameters.from_file(path) if path else BatchingParameters())


def _own_batching(limits: RunLimits, path: Path) -> RunLimits:
    """The limits of a version with what its own batching file says; without one it is alone."""
    file = path / _BATCHING_FILE
    if not file.exists():
        return dataclasses.replace(limits, batching=None)
    return dataclasses.replace(limits, batching_parameters=BatchingParameters.from_file(file))


def _load_policy(options: ServerOptions) -> LoadPolicy:
    return LoadPolicy(
        warm_up=options.enable_model_warmup and max(1, options.num_request_iterations_for_warmup),
        retries=options.max_num_load_retries,
        retry_seconds=options.load_retry_interval_micros / 1e6,
    )


def _address(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _check_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            message = f"Cannot listen on {_address(host, port)}: {error.strerror or error}."
            if error.errno == errno.EADDRINUSE:
                message += " Choose another port, or stop the process that uses this one."
            elif isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
                message += " --host must be a name or an address of this machine."
            raise OSError(message) from error
