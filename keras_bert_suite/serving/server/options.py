"""How to serve, checked before anything is loaded; needs no TensorFlow."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How to serve.

    Attributes:
      host: the interface to listen on; 127.0.0.1 is reached from this machine alone.
      port: of gRPC; 0 for none.
      rest_api_port: of REST; 0 for none.
      poll_seconds: between two looks at the version directories; 0 looks once.
      config_file: a model config file to follow, None for none.
      config_poll_seconds: between two looks at it; 0 looks once.
      num_threads: requests that are worked on at once, for each of gRPC and REST.
      max_queued: gRPC requests that may wait beyond these before RESOURCE_EXHAUSTED, and REST
        connections that may be open.
      max_message_bytes: the largest request.
      max_batch_rows: the most rows of a request.
      grace_seconds: how long requests in work may go on at the end.
    """

    host: str = "127.0.0.1"
    port: int = 8500
    rest_api_port: int = 0
    poll_seconds: float = 1.0
    config_file: Path | None = None
    config_poll_seconds: float = 0.0
    num_threads: int = 8
    max_queued: int = 100
    max_message_bytes: int = 16 << 20
    max_batch_rows: int = 256
    grace_seconds: float = 30.0

    def __post_init__(self):
        if not self.port and not self.rest_api_port:
            raise ValueError("--port and --rest_api_port are both 0: nothing would listen.")
        if self.port == self.rest_api_port:
            raise ValueError(f"--port and --rest_api_port must differ. Received: {self.port} twice")
        for flag, port in (("--port", self.port), ("--rest_api_port", self.rest_api_port)):
            if not 0 <= port <= 65535:
                raise ValueError(f"{flag} must be in 0..65535. Received: {port}")
        for field, least in (
            ("poll_seconds", 0),
            ("config_poll_seconds", 0),
            ("grace_seconds", 0),
            ("num_threads", 1),
            ("max_queued", 1),
            ("max_message_bytes", 1024),
            ("max_batch_rows", 1),
        ):
            value = getattr(self, field)
            if value < least:
                raise ValueError(f"{field} must be at least {least}. Received: {value}")
