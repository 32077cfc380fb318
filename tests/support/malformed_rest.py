"""Malformed REST requests and bytes that are no requests; see malformed_requests.py.

Each function sends one request and returns (HTTP status, the statuses it may have).
"""

from __future__ import annotations

import base64
import json


def cut_json(numbers, target):
    body = json.dumps({"signature_name": "serving_default", "instances": ["a", "\u00e9b"]}).encode()
    return target.http(body[: numbers.randrange(0, len(body) - 1)])[0], {"400"}


def random_body(numbers, target):
    return target.http(numbers.randbytes(numbers.randrange(1, 500)))[0], {"400"}


def deep_json(numbers, target):
    depth = numbers.choice([33, 200, 900, 1100, 3000, 20_000, 100_000])
    opening, closing = numbers.choice([(b"[", b"]"), (b'{"a":', b"}")])
    deep = opening * depth + b"1" + closing * (depth if numbers.random() < 0.8 else 0)
    key = numbers.choice([b"instances", b"inputs", b"other", b"signature_name", b"examples"])
    body = b'{"%s": %s}' % (key, deep)
    call = numbers.choice(["echo:predict", "half_plus_two:classify"])
    return target.http(body, f"/v1/models/{call}")[0], {"400"}


def bad_base64(numbers, target):
    leaf = numbers.choice(["*", "YQ", "YQ=", "YQ=== ", "\u00e9", "Y" * numbers.randrange(1, 99, 4)])
    return target.http(json.dumps({"instances": [{"b64": leaf}]}).encode())[0], {"400"}


def json_that_does_not_fit(numbers, target):
    body = numbers.choice(
        [
            b"1",
            b'"text"',
            b"[]",
            b"null",
            b"{}",
            b'{"instances": []}',
            b'{"instances": {}}',
            b'{"instances": [1]}',
            b'{"instances": [null]}',
            b'{"instances": ["a", ["b"]]}',
            b'{"instances": [["a"], "b"]}',
            b'{"instances": [{"other": "a"}]}',
            b'{"instances": [{"b64": 5}]}',
            b'{"instances": ["a"], "inputs": ["a"]}',
            b'{"inputs": {"other": ["a"]}}',
            b'{"inputs": "scalar"}',
            b'{"inputs": {"text": [["rank", "two"]]}}',
            b'{"signature_name": 3, "instances": ["a"]}',
            b'{"signature_name": "\\ud800", "instances": ["a"]}',
            b'{"signature_name": "none", "instances": ["a"]}',
            b'{"instances": ["fail"]}',
            b"{'instances': ['a']}",
            b'{"instances": [' + b"9" * 5000 + b"]}",
        ]
    )
    return target.http(body)[0], {"400"}


def numbers_that_do_not_fit(numbers, target):
    value = numbers.choice(["true", '"1"', "[[1]]", "1" * 400, '{"x": "a"}', '{"x": {}}', "null"])
    body = f'{{"instances": [{value}]}}'.encode()
    return target.http(body, "/v1/models/half_plus_two:predict")[0], {"400"}


def json_examples_that_do_not_fit(numbers, target):
    example = numbers.choice(
        [
            "1",
            "[]",
            "{}",
            '{"x": null}',
            '{"x": "text"}',
            '{"x": [1, "a"]}',
            '{"\\ud800": 1.0}',
            '{"\\ud800": null}',
            '{"x": {"y": 1}}',
            '{"x": %s}' % ("9" * 30),
        ]
    )
    body = (
        f'{{"signature_name": "regress_x_to_y", "examples": [{example}]}}'
        if numbers.random() < 0.8
        else f'{{"signature_name": "\\udfff", "examples": [{example}]}}'
    )
    call = numbers.choice(["classify", "regress"])
    return target.http(body.encode(), f"/v1/models/half_plus_two:{call}")[0], {"400"}


def rest_names(numbers, target):
    model = numbers.choice(["nobody", "%ff", "%00", "%C3%A9", "x" * 3000, "%2e%2e%2fecho"])
    path = f"/v1/models/{model}:predict"
    return target.http(b'{"instances": ["a"]}', path)[0], {"404", "400"}


def rest_paths(numbers, target):
    method, path = numbers.choice(
        [
            ("GET", "/"),
            ("GET", "/v1/models/echo:predict"),
            ("POST", "/v1/models/echo:explode"),
            ("POST", "/v1/models/echo/versions/x:predict"),
            ("POST", "/v1/models/echo/versions/99999999999999999999:predict"),
            ("PUT", "/v1/models/echo:predict"),
            ("DELETE", "/v1/models/echo"),
            ("GET", "/etc/passwd"),
            ("GET", "/v1/models/../../etc/passwd"),
            ("OPTIONS", "/v1/models/echo"),
        ]
    )
    expected = "400" if path.startswith("/v1/") else "404"
    return target.http(b"{}", path, method)[0], {expected}


def odd_rest_strings(numbers, target):
    texts = [numbers.randbytes(numbers.randrange(0, 300)) for _ in range(numbers.randrange(1, 4))]
    rows = [{"b64": base64.b64encode(text).decode()} for text in texts]
    status, answer = target.http(json.dumps({"instances": rows}).encode())
    if status == "200":
        assert [row["text_bytes"] for row in json.loads(answer)["predictions"]] == rows
    return status, {"200"}


def body_beyond_the_limit(numbers, target):
    return target.http(b" " * ((16 << 20) + numbers.randrange(1, 1000)))[0], {"429"}


KINDS = [
    cut_json,
    random_body,
    deep_json,
    bad_base64,
    json_that_does_not_fit,
    numbers_that_do_not_fit,
    json_examples_that_do_not_fit,
    rest_names,
    rest_paths,
    odd_rest_strings,
]
COSTLY = [
    body_beyond_the_limit,
]
