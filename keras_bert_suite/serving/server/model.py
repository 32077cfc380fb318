"""The versions of one model: found on the disk, loaded, served, unloaded."""

from __future__ import annotations

import contextlib
import dataclasses
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from tensorflow_serving.apis import get_model_status_pb2

from keras_bert_suite.serving.server import warmup_replay
from keras_bert_suite.serving.server.config import ModelSettings
from keras_bert_suite.serving.server.errors import ServingError, as_serving_error, not_found
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.serving.versions import find_versions

_State = get_model_status_pb2.ModelVersionStatus.State
_log = logging.getLogger(__name__)

Load = Callable[..., Servable]


@dataclasses.dataclass(frozen=True, kw_only=True)
class LoadPolicy:
    """How a version comes into service.

    Attributes:
      warm_up: how often its recorded requests are replayed first; 0 for not at all.
      retries: how often it is tried again after a failure, beside whenever its files change.
      retry_seconds: the time between two such tries, at least.
    """

    warm_up: int = 1
    retries: int = 0
    retry_seconds: float = 60.0


@dataclasses.dataclass(kw_only=True)
class _Version:
    path: Path
    state: int = _State.Value("START")
    error: ServingError | None = None
    servable: Servable | None = None
    fingerprint: tuple | None = None
    failures: int = 0  # with this fingerprint
    retry_at: float | None = None  # monotonic seconds


class Model:
    """One model's versions.

    Args:
      settings: where the versions are and which to serve.
      load: called with (path, name=, version=); gives a Servable or raises.
      policy: warm-up, and tries after a failure.
    """

    def __init__(self, settings: ModelSettings, *, load: Load, policy: LoadPolicy):
        self.settings = settings
        self._load, self._policy = load, policy
        self._versions: dict[int, _Version] = {}
        self._lock = threading.Lock()

    def reconcile(self) -> None:
        """Brings what is served in line with the disk and the version policy.

        New versions load before old ones unload, and when none of the wanted versions can be
        loaded the old ones stay. A version that failed is tried again once its files change, and
        as often as the policy says. A base path that shows no version at all changes nothing: what
        is loaded goes on.
        """
        paths = find_versions(self.settings.base_path)
        aspired = self.settings.aspired(set(paths))
        if not aspired:
            return
        for version in sorted(aspired):
            self._bring_up(version, paths[version])
        if any(self.available(version) for version in aspired):
            for version in set(self._versions) - aspired:
                self._bring_down(version)

    def available(self, version: int) -> bool:
        with self._lock:
            entry = self._versions.get(version)
            return entry is not None and entry.servable is not None

    def available_versions(self) -> list[int]:
        """The versions that answer requests, ascending."""
        with self._lock:
            return sorted(v for v, entry in self._versions.items() if entry.servable)

    def first_error(self) -> ServingError | None:
        """Why a version could not be loaded, the newest first; None when all could."""
        with self._lock:
            failed = [v for v, entry in self._versions.items() if entry.error]
            return self._versions[max(failed)].error if failed else None

    def seconds_to_retry(self) -> float | None:
        """The time until a version that failed is to be tried again; None where none is."""
        with self._lock:
            times = [e.retry_at for e in self._versions.values() if e.retry_at is not None]
        return max(0.0, min(times) - time.monotonic()) if times else None

    @contextlib.contextmanager
    def lease(self, version: int | None) -> Iterator[Servable]:
        """The servable of a version, or of the newest for None, kept open inside the block.

        Raises:
          ServingError: NOT_FOUND.
        """
        name = self.settings.name
        wanted = f"Latest({name})" if version is None else f"Specific({name}, {version})"
        while True:
            with self._lock:
                loaded = {v: e.servable for v, e in self._versions.items() if e.servable}
            number = max(loaded, default=None) if version is None else version
            servable = loaded.get(number)
            if servable is None:
                raise not_found(f"Servable not found for request: {wanted}")
            with servable.lease() as leased:
                if leased is not None:  # else it was unloaded between the two locks
                    yield leased
                    return

    def fill_status(self, response, *, version: int | None) -> None:
        """Adds the states of all versions, or of one, to a GetModelStatusResponse.

        Raises:
          ServingError: NOT_FOUND, the version (or any version) is unknown.
        """
        with self._lock:
            entries = {v: (e.state, e.error) for v, e in self._versions.items()}
        name = self.settings.name
        if version is not None:
            if version not in entries:
                raise not_found(f"Could not find version {version} of model {name}")
            entries = {version: entries[version]}
        if not entries:
            raise not_found(f"Could not find any versions of model {name}")
        for number in sorted(entries, reverse=True):
            state, error = entries[number]
            status = response.model_version_status.add()
            status.version, status.state = number, state
            status.status.SetInParent()
            if error is not None:
                status.status.error_code = error.code.value[0]
                status.status.error_message = error.message

    def close(self) -> None:
        """Unloads every version once its requests are answered."""
        for version in list(self._versions):
            self._bring_down(version)

    def _bring_up(self, version: int, path: Path) -> None:
        if self.available(version):
            return
        fingerprint = _fingerprint(path)
        with self._lock:
            entry, failures = self._versions.get(version), 0
            if entry and entry.fingerprint == fingerprint:
                if entry.retry_at is None or time.monotonic() < entry.retry_at:
                    return
                failures = entry.failures
            entry = _Version(path=path, state=_State.Value("LOADING"), fingerprint=fingerprint)
            self._versions[version] = entry
        servable, error = None, None
        try:
            servable = self._load(path, name=self.settings.name, version=version)
            if self._policy.warm_up:
                warmup_replay.replay(servable, iterations=self._policy.warm_up)
        except Exception as raised:  # whatever a SavedModel may raise must not end the server
            if servable is not None:
                servable.retire()
            servable, error = None, as_serving_error(raised)
            _log.error("Cannot load %s: %s", path, error.message)
        with self._lock:
            entry.servable, entry.error = servable, error
            entry.state = _State.Value("AVAILABLE" if servable else "END")
            if error:
                entry.failures = failures + 1
                if entry.failures <= self._policy.retries:
                    entry.retry_at = time.monotonic() + self._policy.retry_seconds
        if servable:
            _log.info("Loaded model %s version %d", self.settings.name, version)

    def _bring_down(self, version: int) -> None:
        with self._lock:
            entry = self._versions[version]
            servable, entry.servable = entry.servable, None
            # It stays in the status, as in TF Serving; without a fingerprint it can come again.
            entry.state, entry.fingerprint = _State.Value("END"), None
            entry.retry_at = None
        if servable:
            servable.retire()
            _log.info("Unloaded model %s version %d", self.settings.name, version)


def _fingerprint(path: Path) -> tuple:
    """Changes with any file of a version: one that is copied there may be seen half of it."""
    found = []
    for folder, _, names in os.walk(path):
        for name in names:
            file = os.path.join(folder, name)
            with contextlib.suppress(OSError):  # gone since
                stat = os.stat(file)
                found.append((file, stat.st_ino, stat.st_mtime_ns, stat.st_size))
    return tuple(sorted(found))
