"""What to serve: TF Serving's ModelServerConfig, checked."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path

from google.protobuf import text_format
from tensorflow_serving.config import model_server_config_pb2

from keras_bert_suite.serving.server.errors import ServingError, invalid_argument


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelSettings:
    """One model to serve.

    Attributes:
      name: the name in requests.
      base_path: absolute directory that holds the version directories.
      policy: "latest", "all" or "specific".
      num_latest: how many of the highest versions, for "latest".
      versions: which versions, for "specific".
      labels: label -> version.
    """

    name: str
    base_path: Path
    policy: str = "latest"
    num_latest: int = 1
    versions: frozenset[int] = frozenset()
    labels: Mapping[str, int] = dataclasses.field(default_factory=dict)

    def aspired(self, present: set[int]) -> set[int]:
        """The versions to serve, of those that are on the disk."""
        if self.policy == "all":
            return set(present)
        if self.policy == "specific":
            return present & self.versions
        return set(sorted(present)[-self.num_latest :])


def one_model(name: str, base_path: str | os.PathLike) -> dict[str, ModelSettings]:
    """A single model, its newest version; a relative path is meant from the working directory."""
    return {name: ModelSettings(name=name, base_path=Path(os.path.abspath(base_path)))}


def read_config_file(path: str | os.PathLike) -> dict[str, ModelSettings]:
    """The models of a ModelServerConfig in protobuf's text format.

    Raises:
      OSError: the file cannot be read.
      ValueError: it is no such config, or asks for what is not supported; names the file.
    """
    text = Path(path).read_text(encoding="utf-8")
    try:
        config = text_format.Parse(text, model_server_config_pb2.ModelServerConfig())
    except text_format.ParseError as error:
        raise ValueError(
            f"Error parsing text-format tensorflow.serving.ModelServerConfig: {path}: {error}"
        ) from error
    try:
        return read_config(config)
    except ServingError as error:
        raise ValueError(f"{path}: {error.message}") from error


def read_config(config) -> dict[str, ModelSettings]:
    """The models of a ModelServerConfig proto by name.

    Raises:
      ServingError: INVALID_ARGUMENT; what is wrong with the config.
    """
    if config.WhichOneof("config") != "model_config_list":
        raise invalid_argument(
            "ServerModelConfig type not supported. Only ModelConfigList is currently supported"
        )
    models: dict[str, ModelSettings] = {}
    for entry in config.model_config_list.config:
        settings = _read_model(entry)
        if settings.name in models:
            raise invalid_argument(
                f"Illegal to list model {settings.name} multiple times in config list"
            )
        models[settings.name] = settings
    return models


def _read_model(entry) -> ModelSettings:
    if not entry.name:
        raise invalid_argument("Every model in the config list needs a name.")
    if entry.HasField("logging_config"):
        raise invalid_argument(f"Model {entry.name}: logging_config is not supported; remove it.")
    if entry.model_platform != "tensorflow":
        raise invalid_argument(
            f'Model {entry.name} must have model_platform: "tensorflow", the only one that is '
            f"served. Received: {entry.model_platform!r}"
        )
    if not os.path.isabs(entry.base_path):
        raise invalid_argument(
            f"Expected model {entry.name} to have an absolute path or URI; "
            f"got base_path()={entry.base_path}"
        )
    policy = entry.model_version_policy.WhichOneof("policy_choice") or "latest"
    num_latest = 1
    if policy == "latest" and entry.model_version_policy.HasField("latest"):
        num_latest = entry.model_version_policy.latest.num_versions or 1
    versions = frozenset(entry.model_version_policy.specific.versions)
    if policy == "specific" and not versions:
        raise invalid_argument(f"Model {entry.name}: the policy `specific` must list versions.")
    return ModelSettings(
        name=entry.name,
        base_path=Path(entry.base_path),
        policy=policy,
        num_latest=num_latest,
        versions=versions,
        labels=dict(entry.version_labels),
    )
