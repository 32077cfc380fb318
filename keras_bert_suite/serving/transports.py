"""How a client's request travels: TF Serving's REST API, or gRPC.

The REST path needs neither TensorFlow nor grpcio; the gRPC path imports TF Serving's stubs, and
with them all of TensorFlow (2-3 s), when the first transport is made.
"""

from __future__ import annotations

import http.client
import json
import socket
import ssl
from collections.abc import Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

from keras_bert_suite.serving.client_tls import Tls, why_unsafe

Columns = dict[str, list]

UNAVAILABLE, DEADLINE_EXCEEDED = "UNAVAILABLE", "DEADLINE_EXCEEDED"
_CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: UNAVAILABLE,
    504: DEADLINE_EXCEEDED,
}


class RequestError(ValueError):
    """The server gave no answer.

    Attributes:
      code: the name of the gRPC status, "NOT_FOUND".
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class Transport(Protocol):
    def predict(self, inputs: Mapping[str, list], signature: str, timeout: float) -> Columns: ...

    def close(self) -> None: ...


class Rest:
    """TF Serving's REST API in columns, over one kept connection a call."""

    def __init__(
        self,
        server: str,
        model_name: str,
        *,
        version: int | None,
        label: str | None,
        tls: Tls | None,
    ):
        self._server = server
        self._context = tls.context() if tls else None
        self._path = f"/v1/models/{quote(model_name, safe='')}"
        if version is not None:
            self._path += f"/versions/{version}"
        if label is not None:
            self._path += f"/labels/{quote(label, safe='')}"

    def predict(self, inputs: Mapping[str, list], signature: str, timeout: float) -> Columns:
        body = json.dumps({"signature_name": signature, "inputs": inputs})
        status, text = self._post(body.encode(), timeout)
        try:
            answer = json.loads(text)
        except ValueError:
            answer = None
        if not isinstance(answer, dict) or (status == 200) != ("outputs" in answer):
            code = _CODES.get(status, "UNKNOWN")
            raise RequestError(
                code,
                f"{self._server} answered with HTTP status {status} and no JSON of TF Serving's "
                "REST API; is it the REST port?",
            )
        if status != 200:
            code = _CODES.get(status, "UNKNOWN")
            raise RequestError(code, f"{self._server}: {code}: {answer.get('error')}")
        outputs = answer["outputs"]
        # A single output comes without its name.
        return outputs if isinstance(outputs, dict) else {"output": outputs}

    def close(self) -> None:
        pass

    def _post(self, body: bytes, timeout: float) -> tuple[int, bytes]:
        connection = self._connection(timeout)
        try:
            connection.request(
                "POST", f"{self._path}:predict", body, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError as error:
            # Our own server's REST port waits for the end of what TLS says first.
            hint = "; does it speak TLS on this port?" if self._context else ""
            raise RequestError(
                DEADLINE_EXCEEDED, f"{self._server}: no answer within the timeout{hint}"
            ) from error
        except http.client.HTTPException as error:
            hint = "is it the REST port" + ("" if self._context else ", and without TLS")
            raise RequestError(
                "UNKNOWN", f"{self._server} does not speak HTTP; {hint}? ({error!r})"
            ) from error
        except (ConnectionError, socket.gaierror, OSError) as error:
            if isinstance(error, ssl.SSLError) and (meaning := why_unsafe(str(error))):
                raise _unsafe(self._server, meaning) from error
            raise RequestError(
                UNAVAILABLE, f"Cannot reach {self._server}: {error.strerror or error}"
            ) from error
        finally:
            connection.close()

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._context is None:
            return http.client.HTTPConnection(self._server, timeout=timeout)
        return http.client.HTTPSConnection(self._server, timeout=timeout, context=self._context)


class Grpc:
    """PredictionService over one channel."""

    def __init__(
        self,
        server: str,
        model_name: str,
        *,
        version: int | None,
        label: str | None,
        tls: Tls | None,
    ):
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self._server, self._spec = server, (model_name, version, label)
        self._safe = tls is not None
        options = [("grpc.max_receive_message_length", -1)]
        if tls:
            credentials = grpc.ssl_channel_credentials(*tls.pems())
            self._channel = grpc.secure_channel(server, credentials, options=options)
        else:
            self._channel = grpc.insecure_channel(server, options=options)
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, inputs: Mapping[str, list], signature: str, timeout: float) -> Columns:
        import grpc

        request = self._request(inputs, signature)
        try:
            response = self._stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            code, details = error.code().name, error.details()
            if code == UNAVAILABLE and (meaning := why_unsafe(details)):
                raise _unsafe(self._server, meaning) from error
            if code == UNAVAILABLE:
                message = f"Cannot reach {self._server}: {details}{self._hint(details)}"
            else:
                message = f"{self._server}: {code}: {details}"
            raise RequestError(code, message) from error
        return {alias: _to_lists(proto) for alias, proto in sorted(response.outputs.items())}

    def close(self) -> None:
        self._channel.close()

    def _hint(self, details: str) -> str:
        # A server that stops closes its connections too: only who waited in vain reads this. Of a
        # name with several addresses gRPC tells the last one's error: ::1 may refuse what
        # 127.0.0.1 had taken and closed.
        refused = "refused" in details and _is_listening(self._server)
        if "Socket closed" not in details and not refused:
            return ""
        if self._safe:
            return ". Does it want a client's certificate (--cert, --key), or another one?"
        return ". Does it want TLS (--tls, --cacert)?"

    def _request(self, inputs: Mapping[str, list], signature: str):
        import tensorflow as tf
        from tensorflow_serving.apis import predict_pb2

        request = predict_pb2.PredictRequest()
        name, version, label = self._spec
        request.model_spec.name, request.model_spec.signature_name = name, signature
        if version is not None:
            request.model_spec.version.value = version
        if label is not None:
            request.model_spec.version_label = label
        for alias, values in inputs.items():
            try:
                proto = tf.make_tensor_proto(values, dtype=None if _has_leaf(values) else tf.string)
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f"Input {alias} must be a list of values of one type, nested lists of one "
                    f"length. {error}"
                ) from error
            request.inputs[alias].CopyFrom(proto)
        return request


def _unsafe(server: str, meaning: str) -> RequestError:
    """The error of a connection that TLS does not let be made; no retry would mend it."""
    return RequestError("UNAUTHENTICATED", f"No safe connection to {server}: {meaning}.")


def _is_listening(server: str) -> bool:
    """Whether any address of HOST:PORT takes a connection."""
    host, _, port = server.rpartition(":")
    try:
        with socket.create_connection((host.strip("[]"), int(port)), timeout=1):
            return True
    except (OSError, ValueError):
        return False


def _has_leaf(values: Any) -> bool:
    while isinstance(values, Sequence) and not isinstance(values, str | bytes):
        if not values:
            return False
        values = values[0]
    return True


def _to_lists(proto) -> list:
    """Nested lists of a TensorProto, float32 as the shortest decimals that stand for them."""
    import numpy as np
    import tensorflow as tf

    array = tf.make_ndarray(proto)
    if array.dtype == object:
        leaves = [item.decode("utf-8", "replace") for item in array.ravel()]
    elif array.dtype == np.float32:
        leaves = [float(str(item)) for item in array.ravel()]
    else:
        return array.tolist()
    cells = np.empty(len(leaves), object)
    cells[:] = leaves
    return cells.reshape(array.shape).tolist()
