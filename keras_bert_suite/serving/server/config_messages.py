"""TF Serving's config messages that its Python package leaves out, read from text format.

Fields and numbers are those of tensorflow/serving: config/monitoring_config.proto,
config/ssl_config.proto and servables/tensorflow/session_bundle_config.proto.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory, text_format
from google.protobuf import wrappers_pb2 as _wrappers  # noqa: F401  (must be in the pool)

_Field = descriptor_pb2.FieldDescriptorProto
_PACKAGE = "keras_bert_suite.serving"  # not TF Serving's: its own modules may be loaded as well
_INT64, _BOOL = ".google.protobuf.Int64Value", ".google.protobuf.BoolValue"
# Message -> field -> (number, type); "[...]" is repeated, a leading dot names a message.
_MESSAGES: Mapping[str, Mapping[str, tuple[int, str]]] = {
    "PrometheusConfig": {"enable": (1, "bool"), "path": (2, "string")},
    "MonitoringConfig": {"prometheus_config": (1, f".{_PACKAGE}.PrometheusConfig")},
    "SSLConfig": {
        "server_key": (1, "string"),
        "server_cert": (2, "string"),
        "custom_ca": (3, "string"),
        "client_verify": (4, "bool"),
    },
    "BatchingParameters": {
        "max_batch_size": (1, _INT64),
        "batch_timeout_micros": (2, _INT64),
        "max_enqueued_batches": (3, _INT64),
        "num_batch_threads": (4, _INT64),
        "thread_pool_name": (5, ".google.protobuf.StringValue"),
        "allowed_batch_sizes": (6, "[int64]"),
        "pad_variable_length_inputs": (7, "bool"),
        "enable_large_batch_splitting": (8, _BOOL),
        "max_execution_batch_size": (9, _INT64),
    },
}


def read_text_file(path: str | os.PathLike, message: str) -> Any:
    """The message of a text-format protobuf file.

    Args:
      path: the file, UTF-8.
      message: "MonitoringConfig", "SSLConfig" or "BatchingParameters".

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no such message; names the file and the line.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        return text_format.Parse(text, _CLASSES[f"{_PACKAGE}.{message}"]())
    except text_format.ParseError as error:
        raise ValueError(
            f"Error parsing text-format tensorflow.serving.{message}: {path}: {error}"
        ) from error


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(
        name="keras_bert_suite/serving/config_messages.proto",
        package=_PACKAGE,
        syntax="proto3",
        dependency=["google/protobuf/wrappers.proto"],
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            message.field.append(_field(field, number, kind))
    pool = descriptor_pool.Default()
    pool.AddSerializedFile(file.SerializeToString())
    return message_factory.GetMessageClassesForFiles([file.name], pool)


def _field(name: str, number: int, kind: str) -> Any:
    label = _Field.LABEL_REPEATED if kind.startswith("[") else _Field.LABEL_OPTIONAL
    kind = kind.strip("[]")
    if kind.startswith("."):
        return _Field(
            name=name, number=number, label=label, type=_Field.TYPE_MESSAGE, type_name=kind
        )
    scalar = getattr(_Field, f"TYPE_{kind.upper()}")
    return _Field(name=name, number=number, label=label, type=scalar)


_CLASSES = _classes()
