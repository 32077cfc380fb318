"""Bytes that are no HTTP or no gRPC, or lie about their length; see malformed_requests.py.

Each function opens one connection and returns (HTTP status or "closed", what it may be).
"""

from __future__ import annotations

import struct


def random_bytes(numbers, target):
    address = numbers.choice([target.grpc_address, target.rest_address])
    target.raw(address, numbers.randbytes(numbers.randrange(1, 600)))
    return "closed", {"closed"}


_POST = b"POST /v1/models/echo:predict HTTP/1.1\r\nHost: x\r\n"


def claimed_content_length(numbers, target):
    length = numbers.choice([b"1000000000", b"1000000000000", b"99999999999999999999999"])
    answer = target.raw(target.rest_address, _POST + b"Content-Length: %s\r\n\r\n{" % length)
    return answer[9:12].decode(), {"413"}


def bad_content_length(numbers, target):
    length = numbers.choice([b"-1", b"1e9", b"0x10", b"+5", b"1_0", b"5, 6", b" "])
    answer = target.raw(target.rest_address, _POST + b"Content-Length: %s\r\n\r\n{}" % length)
    return answer[9:12].decode(), {"400"}


def claimed_chunk(numbers, target):
    size = numbers.choice([b"3b9aca00", b"ffffffffffffffff"])
    head = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
    # The chunk never comes, so that the connection ends without an answer, or with a refusal.
    answer = target.raw(target.rest_address, head + size + b"\r\n{")
    return answer[9:12].decode(), {"", "413"}


def broken_chunks(numbers, target):
    head = _POST + b"Transfer-Encoding: chunked\r\n\r\n"
    answer = target.raw(target.rest_address, head + numbers.choice([b"zz\r\n{", b"-1\r\n{}\r\n"]))
    return answer[9:12].decode(), {"400"}


def long_header(numbers, target):
    head = _POST + b"X: " + b"a" * numbers.randrange(300_000, 600_000) + b"\r\n\r\n"
    answer = target.raw(target.rest_address, head)
    return answer[9:12].decode(), {"431", ""}  # "": reset while we were still sending


def _frame(kind: int, flags: int, stream_id: int, payload: bytes, *, length: int | None = None):
    size = len(payload) if length is None else length
    return struct.pack(">I", size)[1:] + struct.pack(">BBI", kind, flags, stream_id) + payload


_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _frame(4, 0, 0, b"")


def _headers() -> bytes:
    """HTTP/2 headers of a Predict, as literals without Huffman coding."""
    fields = [
        (":method", "POST"),
        (":scheme", "http"),
        (":path", "/tensorflow.serving.PredictionService/Predict"),
        (":authority", "x"),
        ("te", "trailers"),
        ("content-type", "application/grpc"),
    ]
    block = b"".join(
        b"\x00" + bytes([len(name)]) + name.encode() + bytes([len(value)]) + value.encode()
        for name, value in fields
    )
    return _frame(1, 4, 1, block)


def claimed_message_length(numbers, target):
    """A gRPC message that says it has 1 GB, in a stream that ends after some bytes of it."""
    length = numbers.choice([10**9, (1 << 32) - 1, 17 << 20])
    message = b"\0" + struct.pack(">I", length) + b"abc"
    data = _PREFACE + _headers() + _frame(0, 1, 1, message)
    answer = target.raw(target.grpc_address, data, until=b"grpc-status")
    return "status" if b"grpc-status" in answer else "closed", {"status"}


def broken_frames(numbers, target):
    data = numbers.choice(
        [
            _PREFACE + _frame(0, 0, 1, b"abc", length=(1 << 24) - 1),
            _PREFACE + _frame(1, 4, 1, numbers.randbytes(100)),
            _PREFACE + _frame(9, 4, 1, numbers.randbytes(100)),
            _PREFACE + _headers() + _frame(0, 1, 1, numbers.randbytes(50)),
            _PREFACE + numbers.randbytes(400),
            _PREFACE + _frame(4, 0, 0, numbers.randbytes(7)),
        ]
    )
    target.raw(target.grpc_address, data)
    return "closed", {"closed"}


KINDS = [
    random_bytes,
    claimed_content_length,
    bad_content_length,
    claimed_chunk,
    broken_chunks,
    long_header,
    claimed_message_length,
    broken_frames,
]
