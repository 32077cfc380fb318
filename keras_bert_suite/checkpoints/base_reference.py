"""Where the weights that tuning left alone are stored, and whether they are still the same."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import xxhash

from keras_bert_suite.checkpoints.sources import OWN_KEY, Source, find_source

_CHUNK = 1 << 24  # bytes


@dataclasses.dataclass(frozen=True)
class BaseReference:
    """The model directory, or another checkpoint, that a tuned part belongs to.

    Attributes:
      path: absolute.
      size: of the file of weights, in bytes.
      checksum: its XXH3, 64 bits as hexadecimal digits. Of a file that lists others (an index of
        shards, a TensorFlow checkpoint's) it is the list's.
    """

    path: str
    size: int
    checksum: str

    @classmethod
    def to(cls, path: str | os.PathLike) -> BaseReference:
        """Returns a reference to what is at the path now.

        Raises:
          FileNotFoundError: nothing is there, or no weights.
        """
        file = _weights_file(path)
        return cls(os.path.abspath(path), file.stat().st_size, _checksum(file))

    def to_config(self, directory: str | os.PathLike) -> dict[str, Any]:
        """Returns JSON values to keep in `directory`; both may then move together."""
        values = dataclasses.asdict(self)
        return values | {"relative_path": os.path.relpath(self.path, os.path.realpath(directory))}

    @classmethod
    def of(cls, found: Source) -> BaseReference:
        """Returns the reference that a tuned part's config.json holds, to where the base is now.

        Raises:
          ValueError: it is damaged; the base is not there, or not what it was; the remedy.
        """
        values, directory = found.values[OWN_KEY]["base"], found.directory
        where = f'{directory}/config.json: "base" under "keras_bert_suite"'
        kinds = {"path": str, "size": int, "checksum": str, "relative_path": str}
        if not isinstance(values, Mapping) or any(
            not isinstance(values.get(key), kind) for key, kind in kinds.items()
        ):
            raise ValueError(
                f"{where} must be an object with {', '.join(kinds)}. Received: {values!r:.200}"
            )
        places = [directory / values["relative_path"], Path(values["path"])]
        places = places if found.base_dir is None else [found.base_dir]
        present = [place for place in places if os.path.exists(place) or _is_prefix(place)]
        if not present:
            raise ValueError(
                f"{directory} holds the tuned part of a model alone, and its base is not at "
                f"{places[-1]}{'' if found.base_dir else ' any more'}. Move the base back, or say "
                f"by --base_dir (base_dir=... in Python) where it is"
            )
        wrong = []
        for place in present:
            now = cls.to(place)
            if (now.size, now.checksum) == (values["size"], values["checksum"]):
                return now
            wrong.append(f"{place} ({now.size} bytes, checksum {now.checksum})")
        problem = "its base has changed since" if found.base_dir is None else "that is not its base"
        raise ValueError(
            f"{directory} holds the tuned part of a model alone, and {problem}: "
            f"it had {values['size']} bytes of weights, checksum {values['checksum']}. Found: "
            f"{', '.join(wrong)}. Restore the weights that were tuned, or tune anew"
        )


def _is_prefix(path: Path) -> bool:
    return Path(f"{path}.index").is_file()


def _weights_file(path: str | os.PathLike) -> Path:
    weights = find_source(path).weights
    if weights is None:
        raise FileNotFoundError(
            f"{path}: no weights of a whole model in it, to tune a part of. A tuned part is merged "
            "first: bin/edit_model.py --merge"
        )
    return weights if weights.is_file() else Path(f"{weights}.index")


def _checksum(file: Path) -> str:
    hasher = xxhash.xxh3_64()
    with open(file, "rb") as opened:
        while chunk := opened.read(_CHUNK):
            hasher.update(chunk)
    return hasher.hexdigest()
