"""The gRPC face: TF Serving's PredictionService and ModelService, health and reflection."""

from __future__ import annotations

import dataclasses
import functools
import logging
from collections.abc import Callable, Sequence
from concurrent import futures

import grpc
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection
from tensorflow_serving.apis import (
    model_management_pb2,
    model_service_pb2,
    model_service_pb2_grpc,
    prediction_service_pb2,
    prediction_service_pb2_grpc,
)

from keras_bert_suite.serving.server import config as server_config
from keras_bert_suite.serving.server import deadlines, inference
from keras_bert_suite.serving.server.config_messages import read_text_file
from keras_bert_suite.serving.server.errors import (
    ServingError,
    as_serving_error,
    invalid_argument,
)
from keras_bert_suite.serving.server.manager import ModelManager
from keras_bert_suite.serving.server.monitoring import Metrics
from keras_bert_suite.serving.server.servable import Servable

_log = logging.getLogger(__name__)


class PredictionService(prediction_service_pb2_grpc.PredictionServiceServicer):
    """Inference on the models of a manager."""

    def __init__(self, manager: ModelManager, *, metrics: Metrics, as_content: bool = False):
        self._manager = manager
        self._metrics = metrics
        self._predict = functools.partial(inference.predict, as_content=as_content)

    def Predict(self, request, context):  # noqa: N802  (names of the protocol)
        return self._answer("Predict", self._predict, request, context)

    def Classify(self, request, context):  # noqa: N802
        return self._answer("Classify", inference.classify, request, context)

    def Regress(self, request, context):  # noqa: N802
        return self._answer("Regress", inference.regress, request, context)

    def GetModelMetadata(self, request, context):  # noqa: N802
        return self._answer("GetModelMetadata", inference.get_model_metadata, request, context)

    def MultiInference(self, request, context):  # noqa: N802
        def call():
            names = {task.model_spec.name for task in request.tasks}
            if not request.tasks or "" in names:
                raise invalid_argument("Found ModelSpec with an empty model name.")
            if len(names) > 1:
                raise invalid_argument(
                    "All ModelSpecs in a MultiInferenceRequest must access the same model name."
                )
            spec = request.tasks[0].model_spec
            with self._counted("MultiInference", spec), self._manager.lease(spec) as servable:
                return inference.multi_inference(servable, request)

        return _guarded(call, context)

    def _answer(self, api: str, function: Callable[[Servable, object], object], request, context):
        def call():
            with self._counted(api, request.model_spec):
                return leased_call(self._manager, function, request)

        return _guarded(call, context)

    def _counted(self, api: str, spec):
        return self._metrics.request(model_name=spec.name, api=api, entrypoint="GRPC")


class ModelService(model_service_pb2_grpc.ModelServiceServicer):
    """Status and reload of the models of a manager."""

    def __init__(self, manager: ModelManager):
        self._manager = manager

    def GetModelStatus(self, request, context):  # noqa: N802
        return _guarded(lambda: self._manager.get_model_status(request), context)

    def HandleReloadConfigRequest(self, request, context):  # noqa: N802
        def call():
            self._manager.apply(server_config.read_config(request.config))
            return model_management_pb2.ReloadConfigResponse()

        return _guarded(call, context)


def leased_call(manager: ModelManager, function, request):
    """Calls function(servable, request) on the servable that the request's model_spec names.

    Raises:
      ServingError: there is no spec or no such servable; whatever the function raises.
    """
    if not request.HasField("model_spec"):
        raise invalid_argument("Missing ModelSpec")
    with manager.lease(request.model_spec) as servable:
        return function(servable, request)


@dataclasses.dataclass(frozen=True, kw_only=True)
class GrpcOptions:
    """Where and how the gRPC server listens.

    Attributes:
      addresses: HOST:PORT and unix:PATH.
      ssl_config_file: TLS for all addresses but sockets; empty for none.
      channel_arguments: options of gRPC, over our own.
      num_threads: requests that are worked on at once.
      max_queued: requests that may wait; more get RESOURCE_EXHAUSTED.
      max_message_bytes: the largest request.
      as_content: answer Predict with numbers as bytes, see `tensors.to_proto`.
    """

    addresses: Sequence[str]
    ssl_config_file: str
    channel_arguments: Sequence[tuple[str, int | str]]
    num_threads: int
    max_queued: int
    max_message_bytes: int
    as_content: bool


class GrpcServer:
    """The listening server.

    Raises:
      OSError: an address cannot be bound, or the TLS file cannot be read.
      ValueError: the TLS file is no SSLConfig, or its keys are none.
    """

    def __init__(self, manager: ModelManager, *, options: GrpcOptions, metrics: Metrics):
        self._server = grpc.server(
            futures.ThreadPoolExecutor(options.num_threads, thread_name_prefix="grpc"),
            maximum_concurrent_rpcs=options.num_threads + options.max_queued,
            options=[
                # Otherwise a second server could bind the same port and take half the requests.
                ("grpc.so_reuseport", 0),
                ("grpc.max_receive_message_length", options.max_message_bytes),
                ("grpc.max_send_message_length", -1),
                *options.channel_arguments,
            ],
        )
        self._health = health.HealthServicer()
        prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(
            PredictionService(manager, metrics=metrics, as_content=options.as_content),
            self._server,
        )
        model_service_pb2_grpc.add_ModelServiceServicer_to_server(
            ModelService(manager), self._server
        )
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = [
            prediction_service_pb2.DESCRIPTOR.services_by_name["PredictionService"].full_name,
            model_service_pb2.DESCRIPTOR.services_by_name["ModelService"].full_name,
        ]
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        for name in ("", *names):
            self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        credentials = tls_credentials(options.ssl_config_file) if options.ssl_config_file else None
        for address in options.addresses:
            self._listen(address, credentials)

    def _listen(self, address: str, credentials: grpc.ServerCredentials | None) -> None:
        try:
            # Whoever may open the socket's file is on this machine: TLS would add nothing.
            if credentials is None or address.startswith("unix:"):
                bound = self._server.add_insecure_port(address)
            else:
                bound = self._server.add_secure_port(address, credentials)
        except RuntimeError as error:
            raise OSError(f"Cannot listen on {address}: {error}") from error
        if not bound:
            raise OSError(f"Cannot listen on {address}")

    def start(self) -> None:
        self._server.start()

    def stop(self, *, grace_seconds: float) -> None:
        """Refuses new requests and waits for those in work, at most so long."""
        self._health.enter_graceful_shutdown()
        self._server.stop(grace_seconds).wait()


def tls_credentials(path: str) -> grpc.ServerCredentials:
    """The credentials of a text-format SSLConfig: server_key, server_cert, custom_ca as PEM.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no SSLConfig, or lacks what TLS needs.
    """
    config = read_text_file(path, "SSLConfig")
    if not config.server_key or not config.server_cert:
        raise ValueError(f"{path} must have server_key and server_cert, as PEM texts.")
    if config.client_verify and not config.custom_ca:
        raise ValueError(f"{path}: client_verify needs custom_ca, who signs the clients.")
    return grpc.ssl_server_credentials(
        [(config.server_key.encode(), config.server_cert.encode())],
        root_certificates=config.custom_ca.encode() or None,
        require_client_auth=config.client_verify,
    )


def _guarded(call, context):
    """The result of `call()`, or its exception as the status of the RPC."""
    if not context.is_active():  # the client's deadline passed while the request waited
        context.abort(grpc.StatusCode.CANCELLED, "The client is gone.")
    try:
        with deadlines.within(context.time_remaining()):
            return call()
    except Exception as error:  # a request must never end the server
        status = as_serving_error(error)
        if status.code is grpc.StatusCode.INTERNAL and not isinstance(error, ServingError):
            _log.exception("A request failed")
    context.abort(status.code, status.message)
