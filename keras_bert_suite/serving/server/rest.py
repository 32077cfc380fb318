"""The REST face: TF Serving's URLs over a WSGI application, served by waitress."""

from __future__ import annotations

import dataclasses
import gzip
import io
import logging
import re
import select
import socket
import threading
import time
import zlib
from urllib.parse import unquote

import grpc
import waitress
from tensorflow_serving.apis import (
    classification_pb2,
    get_model_metadata_pb2,
    get_model_status_pb2,
    model_pb2,
    predict_pb2,
    regression_pb2,
)
from waitress import wasyncore

from keras_bert_suite.serving.server import deadlines, inference, monitoring, page, rest_json
from keras_bert_suite.serving.server.errors import (
    ServingError,
    as_serving_error,
    invalid_argument,
    not_found,
    resource_exhausted,
)
from keras_bert_suite.serving.server.grpc_service import leased_call
from keras_bert_suite.serving.server.manager import ModelManager
from keras_bert_suite.serving.server.monitoring import Metrics

_log = logging.getLogger(__name__)

# model_servers/http_rest_api_util.cc
_MODEL = r"/v1/models/([^/:]+)(?:/versions/(\d{1,18})|/labels/([^/:]+))?"
_POST = re.compile(_MODEL + r":(classify|regress|predict)", re.IGNORECASE)
_CORS = [
    ("Access-Control-Allow-Origin", "*"),
    ("Access-Control-Allow-Methods", "GET, POST, OPTIONS"),
    ("Access-Control-Allow-Headers", "Content-Type"),
]
_GET = re.compile(_MODEL + r"(?:/(metadata))?", re.IGNORECASE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class RestOptions:
    """Where and how the REST server listens.

    Attributes:
      host, port: the address.
      num_threads: requests that are worked on at once.
      max_connections: open connections; more wait to be accepted.
      max_body_bytes: the largest request body.
      timeout_seconds: how long a request may wait for its turn.
      metrics_path: where Prometheus reads; None for nowhere.
      cors: let scripts of other pages read the answers.
      web_page: answer / with a page to try the models.
    """

    host: str
    port: int
    num_threads: int
    max_connections: int
    max_body_bytes: int
    timeout_seconds: float
    metrics_path: str | None
    cors: bool
    web_page: bool


class RestApplication:
    """A WSGI application that answers for the models of a manager.

    Args:
      manager: the models.
      metrics: counts the requests.
      options: limits, and what is answered beside the models.
    """

    def __init__(self, manager: ModelManager, *, metrics: Metrics, options: RestOptions):
        self._manager = manager
        self._metrics = metrics
        self._options = options

    def __call__(self, environ, start_response):
        headers = [*_CORS] if self._options.cors else []
        try:
            with deadlines.within(self._options.timeout_seconds):
                status, body = "200 OK", self._answer(environ, headers)
        except Exception as error:  # a request must never end the server
            failure = as_serving_error(error)
            if failure.code is grpc.StatusCode.INTERNAL and not isinstance(error, ServingError):
                _log.exception("A request failed")
            status, body = failure.http_status, rest_json.error(failure)
        if not any(name == "Content-Type" for name, _ in headers):
            headers.append(("Content-Type", "application/json"))
        start_response(status, [*headers, ("Content-Length", str(len(body)))])
        return [body]

    def _answer(self, environ, headers: list[tuple[str, str]]) -> bytes:
        """The body of a response of status 200; adds to its headers."""
        method, path = environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")
        if method == "POST" and (match := _POST.fullmatch(path)):
            *where, call = match.groups()
            spec, body = _model_spec(*where), self._body(environ)
            api = call.capitalize()
            with self._metrics.request(model_name=spec.name, api=api, entrypoint="REST"):
                return getattr(self, f"_{call.lower()}")(spec, body)
        if method == "GET" and (match := _GET.fullmatch(path)):
            *where, metadata = match.groups()
            spec = _model_spec(*where)
            return self._metadata(spec) if metadata else self._status(spec)
        if method == "GET" and path == self._options.metrics_path:
            headers.append(("Content-Type", monitoring.CONTENT_TYPE))
            return self._metrics.page()
        if method == "GET" and self._options.web_page:
            if path == "/":
                headers += [("Content-Type", "text/html; charset=utf-8"), *page.HEADERS]
                return page.html()
            if path == page.MODELS_PATH:
                return page.models(self._manager)
        if method == "OPTIONS" and self._options.cors:
            return b""
        if not path.lower().startswith("/v1/"):  # no path of the API, see http_server.cc
            raise not_found(f"There is no such page: {method} {path}")
        if method == "GET" and path.lower() == "/v1/models":
            raise invalid_argument("Missing model name in request.")
        raise invalid_argument(f"Malformed request: {method} {path}")

    def _body(self, environ) -> bytes:
        length = int(environ.get("CONTENT_LENGTH") or 0)
        limit = self._options.max_body_bytes
        if length > limit:
            raise resource_exhausted(
                f"The request has {length} bytes, more than the limit of {limit}"
            )
        body = environ["wsgi.input"].read(length)
        if "gzip" in environ.get("HTTP_CONTENT_ENCODING", "").lower():
            return _decompressed(body, limit=limit)
        return body

    def _predict(self, spec, body: bytes) -> bytes:
        document = rest_json.parse(body)
        request = predict_pb2.PredictRequest(model_spec=spec)
        request.model_spec.signature_name = document.get("signature_name", "")
        name = request.model_spec.signature_name or inference.DEFAULT_SIGNATURE
        with self._manager.lease(spec) as servable:
            if name not in servable.signatures:
                raise invalid_argument(
                    f'Serving signature name: "{name}" not found in signature def'
                )
            ports = servable.signatures[name].inputs
            rows = rest_json.fill_predict(document, request, ports=ports)
            response = inference.predict(servable, request)
        return rest_json.predictions(response, rows=rows)

    def _classify(self, spec, body: bytes) -> bytes:
        request = classification_pb2.ClassificationRequest(model_spec=spec)
        self._read_examples(request, body)
        response = leased_call(self._manager, inference.classify, request)
        return rest_json.classifications(response)

    def _regress(self, spec, body: bytes) -> bytes:
        request = regression_pb2.RegressionRequest(model_spec=spec)
        self._read_examples(request, body)
        return rest_json.regressions(leased_call(self._manager, inference.regress, request))

    def _read_examples(self, request, body: bytes) -> None:
        document = rest_json.parse(body)
        request.model_spec.signature_name = document.get("signature_name", "")
        rest_json.fill_examples(document, request)

    def _status(self, spec) -> bytes:
        request = get_model_status_pb2.GetModelStatusRequest(model_spec=spec)
        if spec.version_label:  # status knows versions only; say which one the label means
            with self._manager.lease(spec) as servable:
                request.model_spec.version.value = servable.version
        return rest_json.status(self._manager.get_model_status(request))

    def _metadata(self, spec) -> bytes:
        request = get_model_metadata_pb2.GetModelMetadataRequest(
            model_spec=spec, metadata_field=["signature_def"]
        )
        return rest_json.metadata(leased_call(self._manager, inference.get_model_metadata, request))


def _decompressed(body: bytes, *, limit: int) -> bytes:
    """The content of a gzip body.

    Raises:
      ServingError: INVALID_ARGUMENT, it is none; RESOURCE_EXHAUSTED, more than `limit` bytes.
    """
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(body)) as file:
            content = file.read(limit + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise invalid_argument(
            f"The body is not in gzip, as the header Content-Encoding says: {error}"
        ) from error
    if len(content) > limit:
        raise resource_exhausted(f"The request has more than {limit} bytes, the limit, in gzip")
    return content


# How long no request may be in work before the server takes it that all are answered.
_QUIET_SECONDS = 0.25


class RestServer:
    """The listening server; connections are accepted once it is started.

    Raises:
      OSError: the address cannot be bound.
    """

    def __init__(self, manager: ModelManager, *, metrics: Metrics, options: RestOptions):
        self._application = RestApplication(manager, metrics=metrics, options=options)
        self._server = waitress.create_server(
            self._application,
            sockets=[_listen(options.host, options.port)],
            threads=options.num_threads,
            connection_limit=options.max_connections,
            # The application refuses a long body with TF Serving's JSON; this bounds the rest.
            max_request_body_size=options.max_body_bytes + (1 << 20),
            channel_timeout=60,
            ident=None,
        )
        self._thread = threading.Thread(target=self._server.run, daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self, *, grace_seconds: float) -> None:
        """Accepts no more connections and waits for the requests in work, at most so long."""
        now = time.monotonic()
        deadline, quiet_since = now + grace_seconds, now
        # On the server's own loop, which is busy with this socket otherwise.
        self._server.trigger.pull_trigger(self._close_door)
        # A connection that was let in may not have been read yet: the end of the work must last.
        while now < deadline and now - quiet_since < _QUIET_SECONDS:
            time.sleep(0.02)
            now = time.monotonic()
            if self._busy():
                quiet_since = now
        self._server.task_dispatcher.shutdown(timeout=0.5)

    def _close_door(self) -> None:
        # The kernel has completed the connections in its queue; their clients wait for answers.
        while select.select([self._server.socket], [], [], 0)[0]:
            self._server.handle_accept()
        wasyncore.dispatcher.close(self._server)

    def _busy(self) -> bool:
        """Whether a request waits, is worked on, or its answer is still on the way."""
        channels = list(self._server.active_channels.values())
        return any(channel.requests or channel.total_outbufs_len for channel in channels)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.socket(family, socket.SOCK_STREAM)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError as error:
        listening.close()
        raise OSError(f"Cannot listen on {host}:{port}: {error.strerror or error}") from error
    return listening


def _model_spec(name: str, version: str | None, label: str | None) -> model_pb2.ModelSpec:
    spec = model_pb2.ModelSpec(name=unquote(name))
    if version is not None:
        spec.version.value = int(version)
    if label is not None:
        spec.version_label = unquote(label)
    return spec
