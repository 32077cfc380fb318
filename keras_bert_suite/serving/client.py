"""A client of any server with TF Serving's contract, over gRPC or REST.

The REST path needs neither TensorFlow nor grpcio; the gRPC path imports TF Serving's stubs, and
with them all of TensorFlow (2-3 s), when the first client is made.
"""

from __future__ import annotations

import http.client
import json
import socket
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol
from urllib.parse import quote

Columns = dict[str, list]

_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
_UNAVAILABLE, _DEADLINE_EXCEEDED = "UNAVAILABLE", "DEADLINE_EXCEEDED"
_CODES = {
    400: "INVALID_ARGUMENT",
    404: "NOT_FOUND",
    429: "RESOURCE_EXHAUSTED",
    501: "UNIMPLEMENTED",
    503: _UNAVAILABLE,
    504: _DEADLINE_EXCEEDED,
}


class RequestError(ValueError):
    """The server gave no answer.

    Attributes:
      code: the name of the gRPC status, "NOT_FOUND".
    """

    def __init__(self, code: str, message: str):
        super().__init__(message)
        self.code = code


class _Transport(Protocol):
    def predict(self, inputs: Mapping[str, list], signature: str, timeout: float) -> Columns: ...

    def close(self) -> None: ...


class Client:
    """Asks one model of one server; safe to use from several threads over gRPC.

    Args:
      server: HOST:PORT of gRPC, or of REST when `rest`.
      model_name: the model's name at the server.
      version: None for the newest.
      label: a version label instead of a version.
      rest: whether to speak REST.
      timeout: seconds for each call, retries included.

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
    ):
        host, separator, port = server.rpartition(":")
        if not separator or not host or not port.isdigit() or not 0 < int(port) < 65536:
            raise ValueError(f"--server must be HOST:PORT. Received: {server!r}")
        if version is not None and label is not None:
            raise ValueError("Give a version or a label, not both.")
        if timeout <= 0:
            raise ValueError(f"timeout must be positive seconds. Received: {timeout}")
        self._timeout = timeout
        transport = _Rest if rest else _Grpc
        self._transport: _Transport = transport(server, model_name, version, label)

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
        batch_size: int = 128,
    ) -> list[dict[str, Any]]:
        """One object a row: {"label": "yes", "scores": [0.1, 0.9], ...}; raises as `predict`.

        Args:
          inputs, signature: see `predict`.
          batch_size: rows of a request; more are sent in parts, each with a timeout of its own.
        """
        answers = []
        for start in range(0, max([1, *map(len, inputs.values())]), batch_size):
            part = {alias: rows[start : start + batch_size] for alias, rows in inputs.items()}
            columns = self.predict(part, signature=signature)
            rows = zip(*columns.values(), strict=True)
            answers += [dict(zip(columns, row, strict=True)) for row in rows]
        return answers


def _with_retries(call: Callable[[float], Columns], *, deadline: float) -> Columns:
    """Calls again, after pauses that double, while the server is unavailable and time is left."""
    pause = _FIRST_PAUSE
    while True:
        try:
            return call(max(0.001, deadline - time.monotonic()))
        except RequestError as error:
            if error.code != _UNAVAILABLE or time.monotonic() + pause >= deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, _LONGEST_PAUSE)


class _Rest:
    """TF Serving's REST API in columns, over one kept connection a call."""

    def __init__(self, server: str, model_name: str, version: int | None, label: str | None):
        self._server = server
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
        connection = http.client.HTTPConnection(self._server, timeout=timeout)
        try:
            connection.request(
                "POST", f"{self._path}:predict", body, {"Content-Type": "application/json"}
            )
            response = connection.getresponse()
            return response.status, response.read()
        except TimeoutError as error:
            raise RequestError(
                _DEADLINE_EXCEEDED, f"{self._server}: no answer within the timeout"
            ) from error
        except http.client.HTTPException as error:
            raise RequestError(
                "UNKNOWN", f"{self._server} does not speak HTTP; is it the REST port? ({error!r})"
            ) from error
        except (ConnectionError, socket.gaierror, OSError) as error:
            raise RequestError(
                _UNAVAILABLE, f"Cannot reach {self._server}: {error.strerror or error}"
            ) from error
        finally:
            connection.close()


class _Grpc:
    """PredictionService over one channel."""

    def __init__(self, server: str, model_name: str, version: int | None, label: str | None):
        import grpc
        from tensorflow_serving.apis import prediction_service_pb2_grpc

        self._server, self._spec = server, (model_name, version, label)
        self._channel = grpc.insecure_channel(
            server, options=[("grpc.max_receive_message_length", -1)]
        )
        self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)

    def predict(self, inputs: Mapping[str, list], signature: str, timeout: float) -> Columns:
        import grpc

        request = self._request(inputs, signature)
        try:
            response = self._stub.Predict(request, timeout=timeout)
        except grpc.RpcError as error:
            code = error.code().name
            if code == _UNAVAILABLE:
                message = f"Cannot reach {self._server}: {error.details()}"
            else:
                message = f"{self._server}: {code}: {error.details()}"
            raise RequestError(code, message) from error
        return {alias: _to_lists(proto) for alias, proto in sorted(response.outputs.items())}

    def close(self) -> None:
        self._channel.close()

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
