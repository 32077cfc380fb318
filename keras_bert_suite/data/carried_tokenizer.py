"""A tokenizer that travels to other machines with its files."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any


class CarriedTokenizer:
    """Picklable: called, it gives the tokenizer; needs no file of the machine that made it.

    Args:
      tokenizer: any of `text.tokenizer`.
    """

    def __init__(self, tokenizer: Any):
        with tempfile.TemporaryDirectory() as directory:
            tokenizer.save(directory)
            self._files = {path.name: path.read_bytes() for path in Path(directory).iterdir()}

    def __call__(self) -> Any:
        from keras_bert_suite.text.tokenizer import Tokenizer

        with tempfile.TemporaryDirectory() as directory:
            for name, data in self._files.items():
                (Path(directory) / name).write_bytes(data)
            return Tokenizer.from_directory(directory)
