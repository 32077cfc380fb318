"""The client, over gRPC and REST."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import threading
import time
from http.server import ThreadingHTTPServer

import pytest
from yes_handler import YesHandler

from keras_bert_suite.serving import client as client_module
from keras_bert_suite.serving.client import AsyncClient, Client, RequestError, Tls


@pytest.fixture(params=["grpc", "rest"])
def connect(request, server):
    """connect(**options) -> Client of the contract models."""
    rest = request.param == "rest"
    address = server.rest if rest else server.grpc

    def make(**options):
        return Client(address, rest=rest, **options)

    make.address, make.rest = address, rest
    return make


@pytest.fixture
def silent_server():
    """HOST:PORT of something that accepts and never answers."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        yield f"127.0.0.1:{listening.getsockname()[1]}"


def test_answers_row_by_row(connect):
    with connect(model_name="echo") as client:
        answers = client.answers({"text": ["a", "\u00e9\U0001f600"]})
    assert [answer["text"] for answer in answers] == ["a", "\u00e9\U0001f600"]
    assert [answer["length"] for answer in answers] == [1, 6]


def test_many_rows_are_sent_in_parts(connect):
    texts = ["a" * n for n in range(300)]  # more than the server takes at once
    with connect(model_name="echo") as client:
        answers = client.answers({"text": texts})
    assert [answer["length"] for answer in answers] == list(range(300))


def test_numbers_versions_and_labels(connect):
    for options, expected in (({}, 3.05), ({"version": 1}, 2.05), ({"label": "stable"}, 2.05)):
        with connect(model_name="half_plus_two", **options) as client:
            (value,) = client.predict({"x": [0.1]}).values()
            assert value == [expected]


@pytest.mark.parametrize(
    "options, inputs, code, message",
    [
        ({"model_name": "nobody"}, {"text": ["a"]}, "NOT_FOUND", "Latest(nobody)"),
        ({"model_name": "echo"}, {"text": ["fail"]}, "INVALID_ARGUMENT", "must not be `fail`"),
        ({"model_name": "echo"}, {"text": [["a"]]}, "INVALID_ARGUMENT", "expected shape [?]"),
    ],
)
def test_what_the_server_refuses(connect, options, inputs, code, message):
    with connect(**options) as client, pytest.raises(RequestError) as caught:
        client.predict(inputs)
    assert caught.value.code == code
    assert message in str(caught.value)


@pytest.mark.parametrize("rest", [False, True])
def test_nobody_listens(rest, unused_address):
    with Client(unused_address, rest=rest, timeout=0.5) as client:
        with pytest.raises(RequestError, match=f"Cannot reach {unused_address}") as caught:
            client.predict({"text": ["a"]})
    assert caught.value.code == "UNAVAILABLE"


@pytest.fixture
def unused_address():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{closed.getsockname()[1]}"


@pytest.mark.parametrize("rest", [False, True])
def test_no_answer_in_time(rest, silent_server):
    with Client(silent_server, rest=rest, timeout=0.5) as client:
        started = time.monotonic()  # the first client of gRPC imports TensorFlow
        with pytest.raises(RequestError) as caught:
            client.predict({"text": ["a"]})
    assert caught.value.code in ("DEADLINE_EXCEEDED", "UNAVAILABLE")
    assert time.monotonic() - started < 5


def test_a_port_that_does_not_answer_to_tls(silent_server):
    with Client(silent_server, rest=True, timeout=0.5, tls=Tls()) as client:
        with pytest.raises(RequestError, match="timeout; does it speak TLS on this port"):
            client.predict({"text": ["a"]})


def test_it_waits_for_a_server_that_comes_up(unused_address):
    host, port = unused_address.split(":")

    def answer_once():
        time.sleep(0.5)
        with socket.create_server((host, int(port))) as listening:
            connection, _ = listening.accept()
            connection.recv(1 << 16)
            body = b'{"outputs": {"label": ["yes"]}}'
            connection.sendall(
                b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)
            )
            connection.close()

    thread = threading.Thread(target=answer_once)
    thread.start()
    with Client(unused_address, rest=True, timeout=10) as client:
        assert client.answers({"text": ["a"]}) == [{"label": "yes"}]
    thread.join()


def test_rest_to_the_port_of_grpc_says_so(server):
    with Client(server.grpc, rest=True, timeout=2) as client:
        with pytest.raises(RequestError, match="is it the REST port"):
            client.predict({"text": ["a"]})


@pytest.mark.parametrize("address", ["localhost", "localhost:", ":8500", "localhost:x", "a:99999"])
def test_addresses(address):
    with pytest.raises(ValueError, match="--server must be HOST:PORT"):
        Client(address, rest=True)


def test_arguments():
    with pytest.raises(ValueError, match="not both"):
        Client("localhost:1", rest=True, version=1, label="a")
    with pytest.raises(ValueError, match="timeout must be positive"):
        Client("localhost:1", rest=True, timeout=0)


def test_inputs_that_are_no_tensor(server):
    with Client(server.grpc, model_name="echo") as client:
        with pytest.raises(ValueError, match="Input text must be a list of values of one type"):
            client.predict({"text": [["a"], ["b", "c"]]})


def test_the_rest_path_imports_no_tensorflow(server):
    code = f"""
import sys
from keras_bert_suite.serving.client import Client
with Client({server.rest!r}, model_name="echo", rest=True) as client:
    assert client.answers({{"text": ["ab"]}})[0]["length"] == 2
assert not {{"tensorflow", "grpc", "numpy"}} & set(sys.modules)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr


def test_asyncio_many_rows_at_once(connect, server):
    async def ask(**options):
        client = AsyncClient(connect.address, rest=connect.rest, **options)
        async with client:
            lengths = client.answers({"text": ["a" * n for n in range(300)]}, batch_size=50)
            columns = client.predict({"text": ["\u00e9"]})
            return await asyncio.gather(lengths, columns)

    answers, columns = asyncio.run(ask(model_name="echo", max_concurrency=3))
    assert [answer["length"] for answer in answers] == list(range(300))
    assert columns["length"] == [2]


def test_asyncio_requests_go_together_and_no_more_than_are_allowed(slow_server):
    address, most_at_once = slow_server

    async def ask():
        async with AsyncClient(address, rest=True, max_concurrency=4) as client:
            return await client.answers({"text": [str(n) for n in range(12)]}, batch_size=1)

    assert asyncio.run(ask()) == [{"label": "yes"}] * 12
    assert most_at_once() == 4


def test_asyncio_errors(unused_address):
    async def ask():
        async with AsyncClient(unused_address, rest=True, timeout=0.5) as client:
            await client.predict({"text": ["a"]})

    with pytest.raises(RequestError, match="Cannot reach"):
        asyncio.run(ask())
    with pytest.raises(ValueError, match="max_concurrency must be at least 1. Received: 0"):
        AsyncClient("localhost:1", rest=True, max_concurrency=0)


@pytest.fixture
def slow_server():
    """(HOST:PORT, how many requests were in work at most); an answer takes 0.1 s."""
    counts, lock = {"now": 0, "most": 0}, threading.Lock()

    class Handler(YesHandler):
        def work(self):
            with lock:
                counts["now"] += 1
                counts["most"] = max(counts["most"], counts["now"])
            time.sleep(0.1)
            with lock:
                counts["now"] -= 1

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}", lambda: counts["most"]
        server.shutdown()


@pytest.mark.parametrize("failures", [1, 3])
def test_pauses_between_tries_double(failures, monkeypatch):
    tries, pauses = [], []

    def call(seconds):
        tries.append(seconds)
        if len(tries) <= failures:
            raise RequestError("UNAVAILABLE", "not yet")
        return {}

    monkeypatch.setattr(time, "sleep", pauses.append)
    assert client_module._with_retries(call, deadline=time.monotonic() + 60) == {}
    assert len(tries) == failures + 1
    for turn, pause in enumerate(pauses):
        assert 0.05 * 2**turn <= pause <= 0.1 * 2**turn


def test_only_an_unavailable_server_is_asked_again():
    tries = []

    def call(seconds):
        tries.append(seconds)
        raise RequestError("INVALID_ARGUMENT", "never")

    with pytest.raises(RequestError, match="never"):
        client_module._with_retries(call, deadline=time.monotonic() + 60)
    assert len(tries) == 1
