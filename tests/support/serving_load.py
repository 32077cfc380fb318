"""Clients that ask a served half_plus_two without pause and hold its answers to the version."""

from __future__ import annotations

import collections
import http.client
import json
import threading
import time

import grpc
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

MODEL = "half"


class Load:
    """Threads that ask until they are stopped; half of them by gRPC, half by REST.

    Args:
      server: has `grpc` and `rest`, HOST:PORT each.
      clients: how many.
      constants: version -> the c of its y = 0.5 x + c.

    Attributes:
      answered: how often each version has answered, over gRPC; None counts REST, whose answers do
        not tell the version.
      wrong: answers that no loaded version gives.
      failed: requests without an answer, as (seconds since the start, message).
    """

    def __init__(self, server, *, clients: int, constants):
        self.answered: collections.Counter = collections.Counter()
        self.wrong: list[str] = []
        self.failed: list[tuple[float, str]] = []
        self._server, self._constants = server, constants
        self._stop, self._lock = threading.Event(), threading.Lock()
        self._start = time.monotonic()
        self._threads = [
            threading.Thread(target=self._work, args=(index,), daemon=True)
            for index in range(clients)
        ]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(timeout=60)
        assert not any(thread.is_alive() for thread in self._threads), "a client got no answer"

    def _work(self, index: int) -> None:
        ask = self._by_grpc if index % 2 else self._by_rest
        turn = 0
        while not self._stop.is_set():
            turn += 1
            numbers = [float(index), float(turn % 1000)]
            try:
                version, answers = ask(numbers)
            except Exception as error:  # whatever a client meets is what is counted
                with self._lock:
                    self.failed.append((time.monotonic() - self._start, repr(error)[:300]))
                self._stop.wait(0.05)
                continue
            possible = [self._constants[version]] if version else self._constants.values()
            right = any(answers == [0.5 * x + c for x in numbers] for c in possible)
            with self._lock:
                self.answered[version] += 1
                if not right:
                    self.wrong.append(f"{version}: {numbers} -> {answers}")

    def _by_grpc(self, numbers):
        if not hasattr(self, "_stub"):
            self._channel = grpc.insecure_channel(self._server.grpc)
            self._stub = prediction_service_pb2_grpc.PredictionServiceStub(self._channel)
        request = predict_pb2.PredictRequest()
        request.model_spec.name = MODEL
        tensor = request.inputs["x"]
        tensor.dtype = 1
        tensor.tensor_shape.dim.add().size = len(numbers)
        tensor.float_val.extend(numbers)
        response = self._stub.Predict(request, timeout=30)
        return response.model_spec.version.value, list(response.outputs["y"].float_val)

    def _by_rest(self, numbers):
        connection = http.client.HTTPConnection(self._server.rest, timeout=30)
        try:
            connection.request(
                "POST", f"/v1/models/{MODEL}:predict", json.dumps({"instances": numbers})
            )
            response = connection.getresponse()
            body = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise RuntimeError(f"{response.status} {body}")
        return None, body["predictions"]
