"""Malformed requests without end, each with the error it must get, for tests of servers.

They are aimed at the contract models (tests/serving/contract_models.py: echo and half_plus_two).
Odd requests that are right all the same - empty, huge and undecodable strings - must be answered.
"""

from __future__ import annotations

import errno
import http.client
import json
import random
import socket
from collections.abc import Callable, Iterator

import grpc
import malformed_bytes
import malformed_grpc
import malformed_rest
from tensorflow_serving.apis import predict_pb2

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_TIMEOUT = 20  # seconds; a request that takes it has failed

Kind = Callable[[random.Random, "Target"], tuple[str, set[str]]]


class Target:
    """A server's two ports.

    Args:
      grpc_address, rest_address: HOST:PORT each.
    """

    def __init__(self, grpc_address: str, rest_address: str):
        self.grpc_address, self.rest_address = grpc_address, rest_address
        self._channel = grpc.insecure_channel(
            grpc_address,
            options=[("grpc.max_send_message_length", -1), ("grpc.max_receive_message_length", -1)],
        )
        self._http: http.client.HTTPConnection | None = None

    def close(self) -> None:
        self._channel.close()
        if self._http:
            self._http.close()

    def call(self, payload, method: str = _PREDICT) -> tuple[str, bytes]:
        """(name of the status, response) of a message or of bytes in the place of one."""
        if not isinstance(payload, bytes):
            payload = payload.SerializeToString()
        try:
            return "OK", self._channel.unary_unary(method)(payload, timeout=_TIMEOUT)
        except grpc.RpcError as error:
            return error.code().name, error.details().encode()

    def http(
        self, body: bytes, path: str = "/v1/models/echo:predict", method: str = "POST"
    ) -> tuple[str, bytes]:
        """(HTTP status, body), over one connection while the server keeps it."""
        for attempt in (0, 1):
            if self._http is None:
                self._http = http.client.HTTPConnection(self.rest_address, timeout=_TIMEOUT)
            try:
                self._http.request(method, path, body)
                response = self._http.getresponse()
                return str(response.status), response.read()
            except (ConnectionError, http.client.RemoteDisconnected):
                self._http = None  # the server had closed it after the answer before
                if attempt:
                    raise
        raise AssertionError

    def raw(self, address: str, data: bytes, *, until: bytes | None = None) -> bytes:
        """What comes back on a fresh connection until the server closes it.

        Args:
          address: HOST:PORT.
          data: what is sent.
          until: the client keeps its side open until it has read this; else it closes it at once.
        """
        host, port = address.rsplit(":", 1)
        received = b""
        with socket.create_connection((host, int(port)), timeout=_TIMEOUT) as connection:
            try:
                connection.sendall(data)
                if until is None:
                    connection.shutdown(socket.SHUT_WR)
                while part := connection.recv(1 << 16):
                    received += part
                    if until is not None and until in received:
                        break
            except ConnectionError:  # the server closed it before all was sent
                pass
            except OSError as error:  # likewise, and what the system says at shutdown
                if error.errno != errno.ENOTCONN:
                    raise
        return received

    def check_good_requests(self) -> None:
        """Asks what has an answer, on both ports."""
        status, answer = self.call(malformed_grpc.predict_request(["good", ""]))
        assert status == "OK", (status, answer)
        assert list(predict_pb2.PredictResponse.FromString(answer).outputs["length"].int_val) == [
            4,
            0,
        ]
        body = b'{"instances": [2.0]}'
        status, answer = self.http(body, "/v1/models/half_plus_two/versions/1:predict")
        assert (status, json.loads(answer)) == ("200", {"predictions": [3.0]})


def stream(numbers: random.Random) -> Iterator[Kind]:
    """All kinds again and again in changing order; the costly ones less often."""
    turn = 0
    while True:
        kinds = [*malformed_grpc.KINDS, *malformed_rest.KINDS, *malformed_bytes.KINDS]
        if turn % 20 == 0:
            kinds += [*malformed_grpc.COSTLY, *malformed_rest.COSTLY]
        numbers.shuffle(kinds)
        yield from kinds
        turn += 1
