"""Several tuned parts of one base in one process, the base's weights in memory once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.checkpoints.model_directory import load_encoder
from keras_bert_suite.checkpoints.sources import find_source
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.mixed_model import MixedModel


class AdapterSet:
    """Models by name, tuned from one base by any methods for any tasks.

        adapters = AdapterSet("base/")
        adapters.add("topics", "topics-lora/")
        adapters.add("names", "names-houlsby/")
        adapters(batch, adapter="topics")["label_logits"]
        adapters["names"].predict(dataset)

    Each is a model of its own and answers to the bit as `load_model(directory)` does; nothing is
    switched, so that calls may run at the same time. What their methods leave alone are the same
    variables, which no model of the set trains.

    Args:
      base_dir: the base: a model directory, or a checkpoint of another format.
      dtype: Keras dtype policy of all models; None takes Keras' global.

    Attributes:
      encoder: the base's.

    Raises:
      FileNotFoundError, ValueError: see `load_model`.
    """

    def __init__(self, base_dir: str | os.PathLike, *, dtype: str | None = None):
        self._base_dir, self._dtype = base_dir, dtype
        self.encoder = load_encoder(base_dir, dtype=dtype)
        self.encoder.trainable = False
        self._models: dict[str, BertModel] = {}

    def add(self, name: str, directory: str | os.PathLike) -> BertModel:
        """Loads a tuned part; returns its model.

        Args:
          name: to call it by.
          directory: what `bin/finetune.py` wrote with a --tuning that keeps the base, or PEFT. The
            set's base counts, wherever the directory says that its base is.

        Raises:
          ValueError: the name is taken, the directory holds a whole model or the tuned part of
            another base, or what `load_model` raises.
          FileNotFoundError: no such directory, or a file of it is missing.
        """
        if name in self._models:
            raise ValueError(
                f"An adapter's name is used once. Received again: {name!r}. Take another, or "
                "remove the adapter first"
            )
        found = find_source(directory, base_dir=self._base_dir)
        model = adapters.load(found, dtype=self._dtype, heads=None, encoder=self.encoder)
        self._models[name] = model
        return model

    def remove(self, name: str) -> None:
        """Takes an adapter out of the set.

        Raises:
          ValueError: there is none of this name.
        """
        self[name]
        del self._models[name]

    def __call__(self, batch: Mapping[str, Any], *, adapter: str, training: bool = False):
        """Returns the logits of one of the models for a batch, see `BertModel.call`.

        Raises:
          ValueError: there is no adapter of this name.
        """
        return self[adapter](batch, training=training)

    def __getitem__(self, name: str) -> BertModel:
        if name not in self._models:
            known = ", ".join(map(repr, self._models)) or "none"
            raise ValueError(f"There is no adapter {name!r}. Known: {known}")
        return self._models[name]

    def mixed(self) -> MixedModel:
        """Returns the adapters as one model for batches whose rows ask any of them.

        It shares their variables, and has those that are in the set now.

        Raises:
          ValueError: there are none, or they differ in more than can be told apart row by row.
        """
        return adapters.mixed(self._models)

    @property
    def names(self) -> tuple[str, ...]:
        """The adapters, in the order in which they were added."""
        return tuple(self._models)
