"""Errors that reach a client: a gRPC status code and a message, and their HTTP equivalents."""

from __future__ import annotations

import grpc

# TF Serving cuts its messages here too; gRPC carries them in a header of limited size.
MAX_MESSAGE_CHARACTERS = 1024

_CODES = {code.value[0]: code for code in grpc.StatusCode}

# tensorflow_serving/model_servers/http_server.cc, ToHTTPStatusCode.
_HTTP = {
    grpc.StatusCode.OK: "200 OK",
    grpc.StatusCode.CANCELLED: "499 Client Closed Request",
    grpc.StatusCode.INVALID_ARGUMENT: "400 Bad Request",
    grpc.StatusCode.FAILED_PRECONDITION: "400 Bad Request",
    grpc.StatusCode.OUT_OF_RANGE: "400 Bad Request",
    grpc.StatusCode.UNAUTHENTICATED: "401 Unauthorized",
    grpc.StatusCode.PERMISSION_DENIED: "403 Forbidden",
    grpc.StatusCode.NOT_FOUND: "404 Not Found",
    grpc.StatusCode.ALREADY_EXISTS: "409 Conflict",
    grpc.StatusCode.ABORTED: "409 Conflict",
    grpc.StatusCode.RESOURCE_EXHAUSTED: "429 Too Many Requests",
    grpc.StatusCode.UNIMPLEMENTED: "501 Not Implemented",
    grpc.StatusCode.UNAVAILABLE: "503 Service Unavailable",
    grpc.StatusCode.DEADLINE_EXCEEDED: "504 Gateway Timeout",
}


class ServingError(Exception):
    """What a request gets instead of an answer.

    Attributes:
      code: the grpc.StatusCode.
      message: what the client reads, at most MAX_MESSAGE_CHARACTERS.
    """

    def __init__(self, code: grpc.StatusCode, message: str):
        super().__init__(message)
        self.code = code
        self.message = message[:MAX_MESSAGE_CHARACTERS]

    @property
    def http_status(self) -> str:
        """The status line of the REST answer, as TF Serving maps it; 500 for the rest."""
        return _HTTP.get(self.code, "500 Internal Server Error")


def invalid_argument(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.INVALID_ARGUMENT, message)


def failed_precondition(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.FAILED_PRECONDITION, message)


def not_found(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.NOT_FOUND, message)


def deadline_exceeded() -> ServingError:
    return ServingError(
        grpc.StatusCode.DEADLINE_EXCEEDED, "The deadline passed before the request was computed."
    )


def resource_exhausted(message: str) -> ServingError:
    return ServingError(grpc.StatusCode.RESOURCE_EXHAUSTED, message)


def as_serving_error(error: Exception) -> ServingError:
    """The error a client gets for any exception: TensorFlow's codes are gRPC's."""
    if isinstance(error, ServingError):
        return error
    code = getattr(error, "error_code", None)  # tf.errors.OpError
    if isinstance(code, int) and code in _CODES:
        return ServingError(_CODES[code], _without_graph(str(getattr(error, "message", error))))
    if isinstance(error, MemoryError):
        return resource_exhausted("Out of memory.")
    return ServingError(grpc.StatusCode.INTERNAL, f"{type(error).__name__}: {error}")


def _without_graph(message: str) -> str:
    """TensorFlow's message without the Python stack of the op, which says nothing to a client."""
    for end in ("\n\nOriginal stack trace", "\nErrors may have"):
        message = message.split(end, 1)[0]
    return message.removeprefix("Graph execution error:").strip()
