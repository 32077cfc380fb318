"""How to serve: every flag of bin/serve.py, checked before anything is loaded. No TensorFlow.

Names are those of tensorflow_model_server where it has the flag; those it does not have stand last.
"""

from __future__ import annotations

import dataclasses
import re

from keras_bert_suite.settings import check_types, setting

_CHANNEL_ARGUMENT = re.compile(r"([A-Za-z0-9_.]+)=([^=,]*)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ServerOptions:
    """How to serve; see `help` of each field.

    Raises:
      ValueError: a value of the wrong type or range, or two that exclude each other.
    """

    port: int = setting(8500, help="Port of gRPC; 0 for none.")
    grpc_socket_path: str = setting("", help="Unix socket on which gRPC listens as well.")
    grpc_channel_arguments: str = setting(
        "", help="Arguments of gRPC's server: grpc.max_connection_age_ms=2000,..."
    )
    grpc_max_threads: int = setting(8, help="gRPC requests in work at once.")
    ssl_config_file: str = setting(
        "", help="SSLConfig in text format (keys and certificates as PEM): TLS for gRPC."
    )
    rest_api_port: int = setting(0, help="Port of REST; 0 for none.")
    rest_api_num_threads: int = setting(8, help="REST requests in work at once.")
    rest_api_timeout_in_ms: int = setting(
        30_000, help="How long a REST request may wait for its turn, in milliseconds."
    )
    rest_api_enable_cors_support: bool = setting(
        False, help="Let scripts of other web pages send REST requests."
    )
    model_name: str = setting("default", help="Name of the model in requests.")
    model_base_path: str = setting("", help="Where the version directories are.")
    model_config_file: str = setting(
        "",
        help="ModelServerConfig in text format: several models, version policies, labels. Takes "
        "the place of --model_name and --model_base_path.",
    )
    model_config_file_poll_wait_seconds: float = setting(
        0.0, help="Seconds between looks at that file; 0 looks once."
    )
    file_system_poll_wait_seconds: float = setting(
        1.0, help="Seconds between looks for new versions; 0 looks once."
    )
    enable_model_warmup: bool = setting(
        True, help="Replay a version's recorded requests before it serves."
    )
    enable_batching: bool = setting(
        False, help="Compute requests that arrive together in one batch."
    )
    batching_parameters_file: str = setting(
        "", help="BatchingParameters in text format, for --enable_batching."
    )
    monitoring_config_file: str = setting(
        "", help="MonitoringConfig in text format: Prometheus metrics on the REST port."
    )
    web_page: bool = setting(False, help="Serve a page to try the models under / of the REST port.")
    host: str = setting("127.0.0.1", help="Interface to listen on; 0.0.0.0 for all.")
    max_queued_requests: int = setting(
        100,
        help="gRPC requests that may wait, more get RESOURCE_EXHAUSTED; REST connections that may "
        "be open.",
    )
    max_message_bytes: int = setting(16 << 20, help="Largest request.")
    max_batch_rows: int = setting(256, help="Most rows of a request.")
    grace_seconds: float = setting(
        30.0, help="How long the requests in work may go on after SIGTERM."
    )

    def __post_init__(self):
        check_types(self)
        self._check_ports()
        for field, least in (
            ("file_system_poll_wait_seconds", 0),
            ("model_config_file_poll_wait_seconds", 0),
            ("grace_seconds", 0),
            ("grpc_max_threads", 1),
            ("rest_api_num_threads", 1),
            ("rest_api_timeout_in_ms", 1),
            ("max_queued_requests", 1),
            ("max_message_bytes", 1024),
            ("max_batch_rows", 1),
        ):
            value = getattr(self, field)
            if value < least:
                raise ValueError(f"--{field} must be at least {least}. Received: {value}")
        if not self.model_base_path and not self.model_config_file:
            raise ValueError("Say what to serve: --model_base_path or --model_config_file.")
        if self.batching_parameters_file and not self.enable_batching:
            raise ValueError("--batching_parameters_file needs --enable_batching.")
        if self.monitoring_config_file and not self.rest_api_port:
            raise ValueError("--monitoring_config_file needs --rest_api_port to be read at.")
        if self.web_page and not self.rest_api_port:
            raise ValueError("--web_page needs --rest_api_port to be served at.")
        _ = self.channel_arguments  # refuses what it cannot read

    def _check_ports(self) -> None:
        ports = (self.port, self.rest_api_port)
        if not any(ports) and not self.grpc_socket_path:
            raise ValueError("--port and --rest_api_port are both 0: nothing would listen.")
        if self.port == self.rest_api_port and self.port:
            raise ValueError(f"--port and --rest_api_port must differ. Received: {self.port} twice")
        for flag, port in zip(("--port", "--rest_api_port"), ports, strict=True):
            if not 0 <= port <= 65535:
                raise ValueError(f"{flag} must be in 0..65535. Received: {port}")

    @property
    def channel_arguments(self) -> list[tuple[str, int | str]]:
        """gRPC's own server options; a value of digits is a number, as in TF Serving."""
        arguments: list[tuple[str, int | str]] = []
        for part in filter(None, self.grpc_channel_arguments.split(",")):
            match = _CHANNEL_ARGUMENT.fullmatch(part)
            if not match:
                raise ValueError(
                    f"--grpc_channel_arguments must read NAME=VALUE,... Received: {part!r}"
                )
            name, value = match.groups()
            arguments.append((name, int(value) if re.fullmatch(r"-?\d+", value) else value))
        return arguments
