"""All models of a server: looked up by ModelSpec, watched on the disk, replaced on request."""

from __future__ import annotations

import contextlib
import logging
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2

from keras_bert_suite.serving.server import config as server_config
from keras_bert_suite.serving.server.config import ModelSettings
from keras_bert_suite.serving.server.errors import (
    ServingError,
    as_serving_error,
    failed_precondition,
    invalid_argument,
    not_found,
)
from keras_bert_suite.serving.server.model import Load, LoadPolicy, Model
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.serving.versions import find_versions

_log = logging.getLogger(__name__)


class ModelManager:
    """The models that are served.

    Args:
      load: makes a Servable, see `Model`.
      policy: how versions come into service.
      labels_may_wait: whether a new label may name a version that is not available.
      num_threads: models that load at once; below 2 one after the other.
      stop: ends watching, and waiting for another try; set by `close`, and by whom else it is
        given.
    """

    def __init__(
        self,
        *,
        load: Load,
        policy: LoadPolicy | None = None,
        labels_may_wait: bool = False,
        num_threads: int = 0,
        stop: threading.Event | None = None,
    ):
        self._load, self._policy = load, policy or LoadPolicy()
        self._labels_may_wait, self._num_threads = labels_may_wait, num_threads
        self._models: dict[str, Model] = {}
        self._changing = threading.Lock()  # one change of the models at a time; lookups go on
        self._stop = stop or threading.Event()

    @property
    def available(self) -> dict[str, list[int]]:
        """Model name -> versions that answer requests."""
        return {name: model.available_versions() for name, model in self._models.items()}

    def apply(self, settings: Mapping[str, ModelSettings]) -> None:
        """Serves exactly these models: all of them load, or nothing changes.

        Raises:
          ServingError: a model has no version that loads, or a label names a version that is not
            available.
        """
        with self._changing:
            added: dict[str, Model] = {}
            try:
                for name, wanted in settings.items():
                    current = self._models.get(name)
                    if current and _same_versions(current.settings, wanted):
                        added[name] = current
                    else:
                        added[name] = Model(wanted, load=self._load, policy=self._policy)
                fresh = [each for name, each in added.items() if each is not self._models.get(name)]
                self._for_each(self._load_with_retries, fresh)
                for name, wanted in settings.items():
                    self._check(added[name], wanted)
            except ServingError:
                for name, model in added.items():
                    if self._models.get(name) is not model:
                        model.close()
                raise
            for name, model in added.items():
                model.settings = settings[name]
            replaced, self._models = self._models, added
            for name, model in replaced.items():
                if added.get(name) is not model:
                    model.close()

    def reconcile(self) -> None:
        """Looks at the disk once, for all models."""
        with self._changing:
            self._for_each(Model.reconcile, list(self._models.values()))

    def watch(
        self,
        *,
        poll_seconds: float,
        config_file: Path | None = None,
        config_poll_seconds: float = 0.0,
    ) -> None:
        """Starts the thread that follows new versions and, when asked, a changed config file."""
        watches = [(poll_seconds, self.reconcile)]
        if config_file is not None:
            watches.append((config_poll_seconds, _ConfigFileWatch(self, config_file).look))
        watches = [watch for watch in watches if watch[0] > 0]
        for seconds, look in watches:
            thread = threading.Thread(target=self._poll, args=(seconds, look), daemon=True)
            thread.start()

    def close(self) -> None:
        """Stops watching and unloads every model once its requests are answered."""
        self._stop.set()
        with self._changing:
            for model in self._models.values():
                model.close()
            self._models = {}

    @contextlib.contextmanager
    def lease(self, spec) -> Iterator[Servable]:
        """The servable that a ModelSpec asks for, kept open inside the block.

        Raises:
          ServingError: INVALID_ARGUMENT or NOT_FOUND, as TF Serving.
        """
        if not spec.name:
            raise invalid_argument("ModelSpec has no name specified.")
        model = self._models.get(spec.name)
        version = spec.version.value if spec.HasField("version") else None
        if spec.version_label:
            labels = model.settings.labels if model else {}
            if spec.version_label not in labels:
                raise invalid_argument(f"Unrecognized servable version label: {spec.version_label}")
            version = labels[spec.version_label]
        if model is None:
            wanted = f"Latest({spec.name})" if version is None else f"Specific({spec.name}, "
            wanted += "" if version is None else f"{version})"
            raise not_found(f"Servable not found for request: {wanted}")
        with model.lease(version) as servable:
            yield servable

    def get_model_status(self, request) -> get_model_status_pb2.GetModelStatusResponse:
        """The states of a model's versions.

        Raises:
          ServingError: no spec, or nothing known of the model or version.
        """
        if not request.HasField("model_spec"):
            raise invalid_argument("Missing ModelSpec")
        spec = request.model_spec
        version = spec.version.value if spec.HasField("version") else None
        model = self._models.get(spec.name)
        if model is None:
            what = "any versions" if version is None else f"version {version}"
            raise not_found(f"Could not find {what} of model {spec.name}")
        response = get_model_status_pb2.GetModelStatusResponse()
        model.fill_status(response, version=version)
        return response

    def _for_each(self, call: Callable[[Model], None], models: Sequence[Model]) -> None:
        if self._num_threads < 2:
            for model in models:
                call(model)
            return
        with ThreadPoolExecutor(self._num_threads, thread_name_prefix="load") as pool:
            list(pool.map(call, models))

    def _load_with_retries(self, model: Model) -> None:
        """Loads until a version serves, or as often as the policy allows."""
        model.reconcile()
        while not model.available_versions():
            seconds = model.seconds_to_retry()
            if seconds is None or self._stop.wait(seconds):
                return
            model.reconcile()

    def _check(self, model: Model, settings: ModelSettings) -> None:
        if not model.available_versions():
            raise _why_none(model, settings)
        current = self._models.get(settings.name)
        known = current.settings.labels if current else {}
        for label, version in settings.labels.items():
            may_wait = self._labels_may_wait and known.get(label, version) == version
            if not may_wait and not model.available(version):
                raise failed_precondition(
                    f"Request to assign label to version {version} of model {settings.name}, "
                    "which is not currently available for inference"
                )

    def _poll(self, seconds: float, look) -> None:
        while not self._stop.wait(seconds):
            try:
                look()
            except Exception as error:  # the watch must outlive whatever one look meets
                _log.error("Watching the models: %s", as_serving_error(error).message)


class _ConfigFileWatch:
    """Applies a config file each time its text changes; a faulty one changes nothing."""

    def __init__(self, manager: ModelManager, path: Path):
        self._manager, self._path = manager, path
        self._text = path.read_bytes()

    def look(self) -> None:
        text = self._path.read_bytes()
        if text == self._text:
            return
        self._text = text
        self._manager.apply(server_config.read_config_file(self._path))
        _log.info("Applied %s", self._path)


def _same_versions(one: ModelSettings, other: ModelSettings) -> bool:
    """Whether two settings differ in labels at most."""
    return (one.base_path, one.policy, one.num_latest, one.versions) == (
        other.base_path,
        other.policy,
        other.num_latest,
        other.versions,
    )


def _why_none(model: Model, settings: ModelSettings) -> ServingError:
    error = model.first_error()
    if error is not None:
        return ServingError(
            error.code,
            f"Model {settings.name}: no version under {settings.base_path} can be loaded: "
            f"{error.message}",
        )
    if not settings.base_path.is_dir():
        return not_found(f"Model {settings.name}: no such directory: {settings.base_path}")
    found = sorted(find_versions(settings.base_path))
    if found:
        return not_found(
            f"Model {settings.name}: none of the wanted versions {sorted(settings.versions)} is "
            f"under {settings.base_path}, which has {found}"
        )
    if (settings.base_path / "saved_model.pb").exists():
        return not_found(
            f"Model {settings.name}: {settings.base_path} is a SavedModel itself. Give the "
            "directory above it, in which versions are named by an integer"
        )
    return not_found(
        f"Model {settings.name}: {settings.base_path} has no version directories (named by an "
        "integer, each with a saved_model.pb); bin/export_model.py writes them"
    )
