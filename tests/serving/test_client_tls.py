"""The client over TLS: whom it trusts, who it is, and what it says when that fails."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
import sys
import threading
import time
from concurrent import futures
from http.server import ThreadingHTTPServer

import grpc
import pytest
from tensorflow_serving.apis import predict_pb2, prediction_service_pb2_grpc
from yes_handler import YesHandler

from keras_bert_suite.serving.client import AsyncClient, Client, RequestError, Tls
from keras_bert_suite.serving.transports import Grpc


class _Https(ThreadingHTTPServer):
    def handle_error(self, request, client_address):
        pass  # handshakes that fail are what these tests are about


class _Service(prediction_service_pb2_grpc.PredictionServiceServicer):
    def Predict(self, request, context):  # noqa: N802
        response = predict_pb2.PredictResponse()
        response.outputs["label"].dtype = 7
        response.outputs["label"].tensor_shape.dim.add().size = 1
        response.outputs["label"].string_val.append(b"yes")
        return response


@contextlib.contextmanager
def _rest_server(key, certificate, *, mutual):
    with _Https(("127.0.0.1", 0), YesHandler) as server:
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate, key)
            if mutual:
                context.verify_mode = ssl.CERT_REQUIRED
                context.load_verify_locations(certificate)
            server.socket = context.wrap_socket(
                server.socket, server_side=True, do_handshake_on_connect=False
            )
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server.server_port
        server.shutdown()


@contextlib.contextmanager
def _grpc_server(key, certificate, *, mutual):
    address = "127.0.0.1:0"  # of "localhost:0", ::1 could choose a port that is taken on 127.0.0.1
    server = grpc.server(futures.ThreadPoolExecutor(1))
    prediction_service_pb2_grpc.add_PredictionServiceServicer_to_server(_Service(), server)
    if certificate:
        pem = certificate.read_bytes()
        credentials = grpc.ssl_server_credentials(
            [(key.read_bytes(), pem)],
            root_certificates=pem if mutual else None,
            require_client_auth=mutual,
        )
        port = server.add_secure_port(address, credentials)
    else:
        port = server.add_insecure_port(address)
    server.start()
    yield port
    server.stop(0)


@pytest.fixture(scope="module")
def files(self_signed, tmp_path_factory):
    """The directory of localhost.key, localhost.pem, stranger.key and stranger.pem."""
    directory = tmp_path_factory.mktemp("certificates")
    for name in ("localhost", "stranger"):
        self_signed(directory, name)
    return directory


@pytest.fixture(scope="module", params=["rest", "grpc"])
def ports(request, files):
    """(speaks REST?, ports by kind of server: plain, tls, mutual)."""
    rest = request.param == "rest"
    make = _rest_server if rest else _grpc_server
    ours = (files / "localhost.key", files / "localhost.pem")
    with (
        make(None, None, mutual=False) as plain,
        make(*ours, mutual=False) as tls,
        make(*ours, mutual=True) as mutual,
    ):
        yield rest, {"plain": plain, "tls": tls, "mutual": mutual}


@pytest.mark.parametrize("kind", ["tls", "mutual"])
def test_an_answer(ports, files, kind):
    rest, port = ports
    ours = files / "localhost.pem"
    known = {"cert": ours, "key": files / "localhost.key"} if kind == "mutual" else {}
    options = {"rest": rest, "timeout": 20, "tls": Tls(cacert=ours, **known)}
    address = f"localhost:{port[kind]}"
    with Client(address, **options) as client:
        assert client.answers({"text": ["a"]}) == [{"label": "yes"}]

    async def ask():
        async with AsyncClient(address, **options) as client:
            return await client.answers({"text": ["a"]})

    assert asyncio.run(ask()) == [{"label": "yes"}]


@pytest.mark.parametrize(
    ("kind", "host", "cacert", "message"),
    [
        ("tls", "localhost", "stranger.pem", "not signed by an authority that is trusted"),
        ("tls", "localhost", None, "not signed by an authority that is trusted"),
        ("tls", "127.0.0.1", "localhost.pem", "its certificate is for another name"),
        ("plain", "localhost", "localhost.pem", "does not speak TLS on this port"),
    ],
)
def test_no_safe_connection_is_said_at_once(ports, files, kind, host, cacert, message):
    rest, port = ports
    tls = Tls(cacert=cacert and files / cacert)
    started = time.monotonic()
    with Client(f"{host}:{port[kind]}", rest=rest, timeout=60, tls=tls) as client:
        with pytest.raises(RequestError, match=message) as caught:
            client.predict({"text": ["a"]})
    assert caught.value.code == "UNAUTHENTICATED"
    assert time.monotonic() - started < 30  # not tried again until the timeout


@pytest.mark.parametrize(
    ("client", "message"),
    [
        (None, "it wants to know its clients; --cert and --key"),
        ("stranger", "does not know the authority that signed the client"),
    ],
)
def test_a_server_that_does_not_know_its_client(ports, files, client, message):
    rest, port = ports
    told = {"cert": files / f"{client}.pem", "key": files / f"{client}.key"} if client else {}
    tls = Tls(cacert=files / "localhost.pem", **told)
    with Client(f"localhost:{port['mutual']}", rest=rest, timeout=2, tls=tls) as asking:
        # gRPC's client learns no more than that the connection was ended.
        expected = message if rest else "Does it want a client's certificate"
        with pytest.raises(RequestError, match=expected):
            asking.predict({"text": ["a"]})


def test_the_last_of_several_addresses_hides_nothing(ports, files):
    rest, port = ports
    if rest:
        pytest.skip("gRPC alone tells the last address's error only")
    transport = Grpc(
        f"localhost:{port['mutual']}",
        "default",
        version=None,
        label=None,
        tls=Tls(cacert=files / "localhost.pem"),
    )
    refused = "failed to connect to all addresses; last error: ipv6:%5B::1%5D: Connection refused"
    assert "client's certificate" in transport._hint(refused)
    transport._server = "localhost:1"  # nobody listens: what was told is the reason
    assert transport._hint(refused) == ""
    transport.close()


def test_in_the_clear_to_a_server_of_tls(ports):
    rest, port = ports
    with Client(f"127.0.0.1:{port['tls']}", rest=rest, timeout=2) as client:
        with pytest.raises(RequestError, match="without TLS[?]" if rest else "Does it want TLS"):
            client.predict({"text": ["a"]})


def test_files_that_do_not_fit(files, tmp_path):
    ours, key = files / "localhost.pem", files / "localhost.key"
    with pytest.raises(ValueError, match="--cert, --key.* go together"):
        Tls(cert=ours)
    with pytest.raises(FileNotFoundError, match="nowhere.pem"):
        Tls(cacert=files / "nowhere.pem")
    (tmp_path / "text").write_text("no certificate")
    with pytest.raises(ValueError, match="text must hold certificates in PEM"):
        Tls(cacert=tmp_path / "text")
    with pytest.raises(ValueError, match="must hold a certificate and .*stranger.key its key"):
        Tls(cert=ours, key=files / "stranger.key")
    subprocess.run(
        ["openssl", "pkey", "-aes256", "-passout", "pass:secret", "-in", str(key)]
        + ["-out", str(tmp_path / "encrypted.key")],
        check=True,
    )
    with pytest.raises(ValueError, match="encrypted.key is encrypted. Remedy: `openssl pkey"):
        Tls(cert=ours, key=tmp_path / "encrypted.key")


def test_the_flags_of_the_program(repository, files):
    ours, key = files / "localhost.pem", files / "localhost.key"

    def query(*flags):
        return subprocess.run(
            [sys.executable, "bin/query.py", "--rest", "--text=a", *flags],
            cwd=repository,
            capture_output=True,
            text=True,
            timeout=60,
        )

    with _rest_server(key, ours, mutual=True) as port:
        address = f"--server=localhost:{port}"
        result = query(address, f"--cacert={ours}", f"--cert={ours}", f"--key={key}")
        assert (result.returncode, result.stdout) == (0, '{"label": "yes"}\n'), result.stderr
        result = query(address, "--tls")
        assert result.returncode == 1
        assert "not signed by an authority that is trusted here; --cacert" in result.stderr
    result = query(f"--key={key}")
    assert "A client's certificate and its key (--cert, --key) go together." in result.stderr
