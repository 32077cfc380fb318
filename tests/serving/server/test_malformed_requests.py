"""Malformed requests of all kinds, good ones in between: the server lives and answers right."""

from __future__ import annotations

import collections
import itertools
import random

import grpc
import malformed_requests
import numpy as np
import pytest
import tensorflow as tf
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc


@pytest.fixture(scope="module")
def target(server):
    if server.process is None:
        pytest.skip("not aimed at other people's servers")
    target = malformed_requests.Target(server.grpc, server.rest)
    yield target
    target.close()


def resident_bytes(server):
    with open(f"/proc/{server.process.pid}/status") as file:
        (line,) = (line for line in file if line.startswith("VmRSS:"))
    return int(line.split()[1]) << 10


@pytest.mark.parametrize("count", [pytest.param(300), pytest.param(10_000, marks=pytest.mark.slow)])
def test_each_gets_its_error_and_the_server_lives(target, server, count):
    numbers = random.Random(count)
    target.check_good_requests()
    wrong = collections.Counter()
    sizes = []
    for index, kind in enumerate(itertools.islice(malformed_requests.stream(numbers), count)):
        status, allowed = kind(numbers, target)
        if status not in allowed:
            wrong[f"{kind.__name__}: {status}, not {allowed}"] += 1
        if index % 50 == 0:
            target.check_good_requests()
            sizes.append(resident_bytes(server))
    assert not wrong
    target.check_good_requests()
    # The largest request has 16 MiB and is held several times: as protos, arrays and the answer's.
    assert max(sizes) - sizes[0] < 300 << 20
    assert server.process.poll() is None


def test_the_stream_has_every_kind(target):
    kinds = set(itertools.islice(malformed_requests.stream(random.Random(0)), 200))
    assert len(kinds) == sum(
        len(module.KINDS) + len(getattr(module, "COSTLY", ()))
        for module in (
            malformed_requests.malformed_grpc,
            malformed_requests.malformed_rest,
            malformed_requests.malformed_bytes,
        )
    )


def test_a_batch_beyond_the_limit_is_told_the_limit(server, target):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.inputs["x"].CopyFrom(tf.make_tensor_proto(np.zeros(2000, np.float32)))
    with grpc.insecure_channel(server.grpc) as channel:
        stub = prediction_service_pb2_grpc.PredictionServiceStub(channel)
        with pytest.raises(grpc.RpcError, match="2000 rows, more than the limit of 256"):
            stub.Predict(request, timeout=20)


def test_a_refusal_that_quotes_undecodable_bytes(target):
    """A text of the graph's error cannot be made from them; the status must not be lost."""
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "half_plus_two"
    request.model_spec.signature_name = "regress_x_to_y"
    request.inputs["inputs"].CopyFrom(tf.make_tensor_proto([b"\xfc\xff no tf.Example"]))
    status, message = target.call(request)
    assert status == "INVALID_ARGUMENT"
    assert b"Could not parse example input" in message


def test_strings_in_tensor_content_are_refused_by_name(target):
    request = predict_pb2.PredictRequest()
    request.model_spec.name = "echo"
    tensor = request.inputs["text"]
    tensor.dtype, tensor.tensor_content = 7, b"abc"
    tensor.tensor_shape.dim.add().size = 1
    assert target.call(request) == (
        "INVALID_ARGUMENT",
        b"tensor parsing error: text: strings belong into string_val, not into tensor_content",
    )


def test_halves_of_surrogate_pairs_are_refused_where_names_are_meant(target):
    path = "/v1/models/half_plus_two:regress"
    status, answer = target.http(b'{"signature_name": "\\ud800", "examples": [{"x": 1}]}', path)
    assert status == "400" and b"'signature_name' key must be a string value" in answer
    status, answer = target.http(b'{"examples": [{"\\ud800": 1}]}', path)
    assert status == "400" and b"Feature names must be valid Unicode" in answer
