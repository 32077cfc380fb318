"""Hundreds of malformed requests, good ones in between: the server lives and answers right."""

from __future__ import annotations

import http.client
import json
import random
import socket

import grpc
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc

METHOD = "/tensorflow.serving.PredictionService/Predict"


@pytest.fixture(scope="module")
def channel(server):
    if server.process is None:
        pytest.skip("not aimed at other people's servers")
    with grpc.insecure_channel(server.grpc) as channel:
        yield channel


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/statm") as file:
        return int(file.read().split()[1]) * 4096


def good_request_is_answered(channel, server):
    stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "echo"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["good"]))
    assert list(stub.Predict(request, timeout=20).outputs["length"].int_val) == [4]
    connection = http.client.HTTPConnection(server.rest, timeout=20)
    connection.request("POST", "/v1/models/half_plus_two:predict", '{"instances": [2.0]}')
    assert json.loads(connection.getresponse().read()) == {"predictions": [4.0]}
    connection.close()


def malformed_request(random_numbers):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = random_numbers.choice(["echo", "half_plus_two", "x" * 500, ""])
    if random_numbers.random() < 0.2:
        request.model_spec.version.value = random_numbers.choice([-1, 0, 1 << 62])
    name = random_numbers.choice(["text", "x", "", "\u00e9" * 20])
    tensor = request.inputs[name]
    tensor.dtype = random_numbers.choice([0, 1, 3, 7, 9, 14, 20, 21, 99])
    for _ in range(random_numbers.choice([0, 1, 1, 2, 5, 300])):
        tensor.tensor_shape.dim.add().size = random_numbers.choice([0, 1, 3, -1, 10**9, 1 << 60])
    tensor.tensor_shape.unknown_rank = random_numbers.random() < 0.1
    if random_numbers.random() < 0.5:
        tensor.string_val.extend([b"fail", b"\xff\x00" * 1000])
    if random_numbers.random() < 0.3:
        tensor.tensor_content = b"abc"
    tensor.float_val.extend([1.0] * random_numbers.choice([0, 1, 5]))
    return request.SerializeToString()


def test_predict_requests(channel, server):
    random_numbers = random.Random(7)
    call = channel.unary_unary(METHOD)  # bytes in, bytes out
    before = resident_bytes(server)
    codes = set()
    for index in range(300):
        payload = malformed_request(random_numbers)
        if index % 5 == 0:
            payload = random_numbers.randbytes(random_numbers.randrange(1, 400))
        try:
            call(payload, timeout=20)
        except grpc.RpcError as error:
            codes.add(error.code())
        if index % 50 == 0:
            good_request_is_answered(channel, server)
    assert codes <= {
        grpc.StatusCode.INVALID_ARGUMENT,
        grpc.StatusCode.NOT_FOUND,
        grpc.StatusCode.INTERNAL,  # what grpcio says of bytes that are no message
    }
    good_request_is_answered(channel, server)
    assert resident_bytes(server) - before < 200 << 20
    assert server.process.poll() is None


def test_a_message_beyond_the_limit(channel, server):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "echo"
    request.inputs["text"].CopyFrom(tf.make_tensor_proto(["a" * (17 << 20)]))
    with pytest.raises(grpc.RpcError) as caught:
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)
    assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    good_request_is_answered(channel, server)


def test_a_batch_beyond_the_limit(channel):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros(2000, np.float32)))
    with pytest.raises(grpc.RpcError, match="2000 rows, more than the limit of 256"):
        prediction_service_pb2_grpc.PredictionServiceStub(channel).Predict(request, timeout=20)


def test_rest_bodies(channel, server):
    bodies = [
        b"\xff\xfe",
        b'{"instances": [' + b"[" * 100_000,
        b'{"instances": ' + b"[" * 900 + b"]" * 900 + b"}",
        b'{"instances": [1e999999]}',
        b'{"instances": [' + b"9" * 5000 + b"]}",
        b'{"instances": [null]}',
        b'{"instances": {"a": 1}}',
        b'{"inputs": {"text": "scalar"}}',
        b'{"inputs": "scalar"}',
        b'{"signature_name": 3, "instances": [1]}',
        b'{"instances": ["\\ud800"]}',
        b'{"instances": [{"b64": 5}]}',
        b'{"instances": [1.0, [2.0]]}',
    ]
    for model in ("echo", "half_plus_two"):
        for call in ("predict", "classify", "regress"):
            for body in bodies:
                connection = http.client.HTTPConnection(server.rest, timeout=20)
                connection.request("POST", f"/v1/models/{model}:{call}", body)
                response = connection.getresponse()
                answer = json.loads(response.read())
                connection.close()
                assert response.status in (200, 400, 404)
                assert ("error" in answer) == (response.status != 200)
    good_request_is_answered(channel, server)


def test_a_rest_body_beyond_the_limit(channel, server):
    connection = http.client.HTTPConnection(server.rest, timeout=20)
    connection.request("POST", "/v1/models/echo:predict", b" " * ((16 << 20) + 1))
    response = connection.getresponse()
    assert response.status == 429
    assert "more than the limit" in json.loads(response.read())["error"]


def test_bytes_that_speak_no_protocol(channel, server):
    random_numbers = random.Random(8)
    for address in (server.grpc, server.rest):
        host, port = address.split(":")
        for _ in range(20):
            with socket.create_connection((host, int(port)), timeout=5) as connection:
                connection.sendall(random_numbers.randbytes(300))
        with socket.create_connection((host, int(port)), timeout=5) as connection:
            connection.sendall(
                b"POST /v1/models/echo:predict HTTP/1.1\r\nContent-Length: 1000000000\r\n\r\n{"
            )
    good_request_is_answered(channel, server)
