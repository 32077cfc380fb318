"""Several weight files that one index joins: `model.safetensors.index.json` and its like.

Source: transformers, `load_sharded_checkpoint`: {"metadata": ..., "weight_map": {tensor: file}}.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints.rename import listed


class ShardedFiles:
    """The tensors of all files of an index, as one source.

    Use as a context manager. Satisfies `rename.TensorSource`.

    Args:
      path: the index.
      open_file: opens one file as a source that is a context manager.

    Raises:
      FileNotFoundError: a file of the index is missing.
      ValueError: the index is damaged, names a place outside its directory, or disagrees with the
        files: a tensor that is missing, unnamed, or in two of them.
    """

    def __init__(self, path: str | os.PathLike, open_file: Callable[[Path], Any]):
        self.path = Path(path)
        weight_map = self._weight_map()
        self._files: dict[str, Any] = {}
        with contextlib.ExitStack() as stack:
            for shard in sorted(set(weight_map.values())):
                opened = stack.enter_context(open_file(self._shard(shard)))
                self._check(shard, opened, weight_map)
                self._files.update(dict.fromkeys(opened.names, opened))
            self._stack = stack.pop_all()
        self.names = frozenset(self._files)

    def __enter__(self) -> ShardedFiles:
        return self

    def __exit__(self, *exception) -> None:
        self._stack.close()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._files[name].shape(name)

    def read(self, name: str) -> np.ndarray:
        return self._files[name].read(name)

    def _weight_map(self) -> dict[str, str]:
        def unique(pairs):
            names = [name for name, _ in pairs]
            if len(set(names)) != len(names):
                twice = next(name for name in names if names.count(name) > 1)
                raise ValueError(f"{self.path}: names {twice!r} more than once")
            return dict(pairs)

        try:
            text = self.path.read_text(encoding="utf-8")
            values = json.loads(text, object_pairs_hook=unique)
        except (json.JSONDecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ValueError(f"{self.path}: must be JSON in UTF-8. {error}") from error
        weight_map = values.get("weight_map") if isinstance(values, dict) else None
        if not isinstance(weight_map, dict) or not weight_map:
            raise ValueError(f'{self.path}: must have a "weight_map" of tensors and files')
        for file in weight_map.values():
            if not isinstance(file, str) or file in ("", ".", "..") or set(file) & set("/\\\0"):
                raise ValueError(
                    f"{self.path}: its files must lie beside it, without a path. Received: {file!r}"
                )
        return weight_map

    def _shard(self, name: str) -> Path:
        path = self.path.parent / name
        # A link may lead elsewhere (caches of downloads are made of links); the name may not.
        if not path.is_file():
            raise FileNotFoundError(f"{self.path}: its file {name} is missing. Copy it here too")
        return path

    def _check(self, shard: str, opened: Any, weight_map: dict[str, str]) -> None:
        expected = {name for name, file in weight_map.items() if file == shard}
        if twice := sorted(set(opened.names) & set(self._files)):
            first = self._files[twice[0]].path.name
            raise ValueError(f"{self.path}: {twice[0]!r} is in two files, {first} and {shard}")
        if missing := sorted(expected - set(opened.names)):
            raise ValueError(f"{self.path}: says that {shard} holds {listed(missing)}; it does not")
        if unnamed := sorted(set(opened.names) - expected):
            raise ValueError(f"{self.path}: does not name {listed(unnamed)}, which {shard} holds")
