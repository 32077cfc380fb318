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
    allow_version_labels_for_unavailable_models: bool = setting(
        False, help="Let a new label name a version that is not loaded yet."
    )
    model_config_file_poll_wait_seconds: float = setting(
        0.0, help="Seconds between looks at that file; 0 looks once."
    )
    file_system_poll_wait_seconds: float = setting(
        1.0, help="Seconds between looks for new versions; 0 looks once."
    )
    max_num_load_retries: int = setting(
        0, help="How often a version that failed to load is tried again, beside when it changes."
    )
    load_retry_interval_micros: int = setting(
        60_000_000, help="Microseconds between such tries, at least."
    )
    num_load_threads: int = setting(0, help="Models that load at once; 0: one after the other.")
    saved_model_tags: str = setting(
        "serve", help="Tags of the graph to load from a SavedModel, comma separated."
    )
    enable_model_warmup: bool = setting(
        True, help="Replay a version's recorded requests before it serves."
    )
    num_request_iterations_for_warmup: int = setting(
        0, help="How often each of them is replayed; 0 means once."
    )
    enable_signature_method_name_check: bool = setting(
        False, help="Classify and regress by signatures alone that have TF Serving's method name."
    )
    enable_serialization_as_tensor_content: bool = setting(
        False, help="Answer Predict over gRPC with numbers as bytes (tensor_content)."
    )
    tensorflow_session_config_file: str = setting(
        "", help="ConfigProto in text format: TensorFlow's options of a session."
    )
    tensorflow_session_parallelism: int = setting(
        0, help="TensorFlow's threads, for both of the following; 0: TensorFlow chooses."
    )
    tensorflow_intra_op_parallelism: int = setting(0, help="Threads within an operation.")
    tensorflow_inter_op_parallelism: int = setting(
        0, help="Operations of a run that go on at once (default: one, on the request's thread)."
    )
    per_process_gpu_memory_fraction: float = setting(
        0.0, help="Share of a GPU's memory to take; 0: TensorFlow chooses."
    )
    enable_batching: bool = setting(
        False, help="Compute requests that arrive together in one batch."
    )
    batching_parameters_file: str = setting(
        "", help="BatchingParameters in text format, for --enable_batching."
    )
    enable_per_model_batching_parameters: bool = setting(
        False,
        help="Batch the versions alone that have a batching_params.pbtxt beside their "
        "saved_model.pb, as it says; of --batching_parameters_file the threads count.",
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
            ("max_num_load_retries", 0),
            ("load_retry_interval_micros", 0),
            ("num_load_threads", 0),
            ("num_request_iterations_for_warmup", 0),
            ("tensorflow_session_parallelism", 0),
            ("tensorflow_intra_op_parallelism", 0),
            ("tensorflow_inter_op_parallelism", 0),
            ("per_process_gpu_memory_fraction", 0),
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
        for flag in ("batching_parameters_file", "enable_per_model_batching_parameters"):
            if getattr(self, flag) and not self.enable_batching:
                raise ValueError(f"--{flag} needs --enable_batching.")
        self._check_session()
        if self.monitoring_config_file and not self.rest_api_port:
            raise ValueError("--monitoring_config_file needs --rest_api_port to be read at.")
        if self.web_page and not self.rest_api_port:
            raise ValueError("--web_page needs --rest_api_port to be served at.")
        _ = self.channel_arguments  # refuses what it cannot read

    def _check_session(self) -> None:
        if self.tensorflow_session_parallelism and (
            self.tensorflow_intra_op_parallelism or self.tensorflow_inter_op_parallelism
        ):
            raise ValueError(
                "--tensorflow_session_parallelism sets both --tensorflow_intra_op_parallelism and "
                "--tensorflow_inter_op_parallelism: give it, or them."
            )
        if self.per_process_gpu_memory_fraction > 1:
            raise ValueError(
                "--per_process_gpu_memory_fraction must be in [0, 1]. "
                f"Received: {self.per_process_gpu_memory_fraction}"
            )
        if not all(self.saved_model_tags.split(",")):
            raise ValueError(
                "--saved_model_tags must be tags, comma separated. "
                f"Received: {self.saved_model_tags!r}"
            )

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
