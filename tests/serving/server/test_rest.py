"""TF Serving's REST API, against bin/serve.py or a real TF Serving (TFS_REST_ADDRESS)."""

from __future__ import annotations

import gzip
import http.client
import json

import pytest

HALF = "/v1/models/half_plus_two"
ECHO = "/v1/models/echo"


@pytest.fixture(scope="module")
def ask(server):
    """ask(path, document or bytes or None, headers) -> (HTTP status, answer)."""
    if not server.rest:
        pytest.skip("set TFS_REST_ADDRESS to the REST port of the TF Serving in TFS_ADDRESS")

    def call(path, document=None, headers=()):
        connection = http.client.HTTPConnection(server.rest, timeout=20)
        body = document if isinstance(document, bytes | None) else json.dumps(document)
        connection.request("GET" if body is None else "POST", path, body, dict(headers))
        response = connection.getresponse()
        answer = json.loads(response.read())
        connection.close()
        assert response.headers["Content-Type"] == "application/json"
        return response.status, answer

    return call


def test_rows(ask):
    assert ask(f"{HALF}:predict", {"instances": [1.0, 2.0]}) == (200, {"predictions": [3.5, 4.0]})


def test_rows_of_objects_and_of_several_outputs(ask):
    status, answer = ask(f"{ECHO}:predict", {"instances": [{"text": "a"}, {"text": "bcd"}]})
    assert status == 200
    assert answer["predictions"] == [
        {"length": 1, "text": "a", "text_bytes": {"b64": "YQ=="}},
        {"length": 3, "text": "bcd", "text_bytes": {"b64": "YmNk"}},
    ]


def test_columns(ask):
    assert ask(f"{HALF}:predict", {"inputs": [1.0, 2.0]}) == (200, {"outputs": [3.5, 4.0]})
    assert ask(f"{HALF}:predict", {"inputs": {"x": [1.0]}}) == (200, {"outputs": [3.5]})


def test_bytes_as_base64(ask):
    status, answer = ask(f"{ECHO}:predict", {"instances": [{"b64": "w6k="}]})
    assert (status, answer["predictions"][0]["text"]) == (200, "é")


def test_text_that_is_no_utf8_comes_back_as_bytes(ask):
    status, answer = ask(f"{ECHO}:predict", {"instances": [{"b64": "/w=="}]})
    assert (status, answer["predictions"][0]["text_bytes"]) == (200, {"b64": "/w=="})


def test_versions_and_labels(ask):
    for where in ("versions/1", "labels/stable"):
        assert ask(f"{HALF}/{where}:predict", {"instances": [1.0]}) == (200, {"predictions": [2.5]})


def test_signature_name(ask):
    status, answer = ask(f"{HALF}:predict", {"instances": [1.0], "signature_name": "nothing"})
    assert status == 400
    assert answer == {"error": 'Serving signature name: "nothing" not found in signature def'}


def test_classify_and_regress(ask):
    document = {"signature_name": "classify_x_to_y", "examples": [{"x": 2.0}, {"x": [4.0]}]}
    assert ask(f"{HALF}:classify", document) == (200, {"results": [[["", 4.0]], [["", 5.0]]]})
    document["signature_name"] = "regress_x_to_y"
    assert ask(f"{HALF}:regress", document) == (200, {"results": [4.0, 5.0]})
    document = {"signature_name": "regress_x_to_y", "context": {"x": 2.0}, "examples": [{}]}
    assert ask(f"{HALF}:regress", document) == (200, {"results": [4.0]})


def test_status(ask):
    status, answer = ask(f"{HALF}/versions/1")
    assert status == 200
    assert answer == {
        "model_version_status": [
            {
                "version": "1",
                "state": "AVAILABLE",
                "status": {"error_code": "OK", "error_message": ""},
            }
        ]
    }
    assert len(ask(HALF)[1]["model_version_status"]) == 2


def test_metadata(ask):
    status, answer = ask(f"{ECHO}/metadata")
    assert status == 200
    assert answer["model_spec"]["name"] == "echo"
    assert answer["model_spec"]["version"] == "7"
    inputs = answer["metadata"]["signature_def"]["signature_def"]["serving_default"]["inputs"]
    assert inputs["text"]["dtype"] == "DT_STRING"
    assert inputs["text"]["tensor_shape"]["dim"] == [{"size": "-1", "name": ""}]


def test_a_compressed_body(ask):
    body = gzip.compress(b'{"instances": [1.0, 2.0]}')
    answer = ask(f"{HALF}:predict", body, {"Content-Encoding": "gzip"})
    assert answer == (200, {"predictions": [3.5, 4.0]})


@pytest.mark.parametrize(
    "body, status, message",
    [
        (b'{"instances": [1.0]}', 400, "The body is not in gzip, as the header Content-Encoding"),
        (gzip.compress(b'{"instances": [1.0]}')[:-9], 400, "The body is not in gzip"),
        # 20 kB that stand for 20 MB.
        (gzip.compress(b" " * 20_000_000), 429, "more than 16777216 bytes, the limit, in gzip"),
    ],
    ids=["plain", "cut", "bomb"],
)
def test_compressed_bodies_that_are_refused(ask, server, body, status, message):
    if server.process is None:
        pytest.skip("TF Serving takes what it cannot decompress for an empty body")
    got, answer = ask(f"{HALF}:predict", body, {"Content-Encoding": "gzip"})
    assert got == status
    assert message in answer["error"]


@pytest.mark.parametrize(
    "path, document, status, message",
    [
        ("/v1/models/nobody:predict", {"instances": [1]}, 404, "Latest(nobody)"),
        (f"{HALF}/versions/9:predict", {"instances": [1.0]}, 404, "Specific(half_plus_two, 9)"),
        (f"{HALF}/labels/x:predict", {"instances": [1.0]}, 400, "Unrecognized servable version"),
        ("/v1/models/nobody", None, 404, "Could not find any versions of model nobody"),
        (f"{HALF}:predict", b"", 400, "JSON Parse error: The document is empty"),
        (f"{HALF}:predict", b"{", 400, "JSON Parse error"),
        (f"{HALF}:predict", b"[1]", 400, "Is not object"),
        (f"{HALF}:predict", {}, 400, "Missing 'inputs' or 'instances' key"),
        (f"{HALF}:predict", {"inputs": [1], "instances": [1]}, 400, "expecting only one of"),
        (f"{HALF}:predict", {"instances": []}, 400, "instances"),
        (f"{HALF}:predict", {"instances": ["a"]}, 400, "is not of expected type: float"),
        (f"{HALF}:predict", {"instances": [True]}, 400, "is not of expected type: float"),
        (f"{HALF}:predict", {"instances": [{"y": 1.0}]}, 400, "element: 0"),
        (f"{HALF}:predict", {"inputs": {"y": [1.0]}}, 400, "Missing named input: x in 'inputs'"),
        (f"{HALF}:predict", {"inputs": [[1.0], [1.0, 2.0]]}, 400, "at unexpected size: 2"),
        (f"{HALF}:predict", {"inputs": [1.0, [2.0]]}, 400, "unexpected level"),
        (f"{ECHO}:predict", {"instances": [{"b64": "?"}]}, 400, "Unable to base64 decode"),
        (f"{ECHO}:predict", {"instances": ["fail"]}, 400, "must not be `fail`"),
        (f"{HALF}:classify", {"examples": []}, 400, "examples"),
        (f"{HALF}:classify", {"examples": [1]}, 400, "Example must be JSON object"),
        (f"{HALF}:explain", {}, 400, "Malformed request: POST"),
        ("/v1/model", None, 400, "Malformed request: GET"),
        ("/v1/models", None, 400, "Missing model name in request."),
    ],
)
def test_errors(ask, path, document, status, message):
    got, answer = ask(path, document)
    assert got == status
    assert set(answer) == {"error"}
    assert message in answer["error"]
