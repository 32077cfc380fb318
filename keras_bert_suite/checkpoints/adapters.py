"""The tuned part of a model as a directory of its own, beside a reference to the base.

config.json                  of the whole model; under "keras_bert_suite" the tuning method and the
                             base: its place, size and checksum
adapter_model.safetensors    what was tuned, see adapter_names.py
adapter_config.json          PEFT's, where PEFT has the method, see peft_config.py
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints import adapter_names, huggingface_config, peft_config, rename
from keras_bert_suite.checkpoints.base_reference import BaseReference
from keras_bert_suite.checkpoints.construction import (
    part_from_others,
    share_value,
    without_values,
)
from keras_bert_suite.checkpoints.huggingface import CurrentNames, bind, with_pooler
from keras_bert_suite.checkpoints.huggingface_config import OWN_KEY
from keras_bert_suite.checkpoints.huggingface_tables import TABLES
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile
from keras_bert_suite.checkpoints.sources import PEFT_CONFIG_FILE, PEFT_FILE, Source
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.head import Head
from keras_bert_suite.models.mixed_model import MixedModel
from keras_bert_suite.tuning.method import TuningMethod


@dataclasses.dataclass(frozen=True)
class Tuned:
    """What `BertModel.tuned` holds: the method, and the base of what it left alone."""

    method: TuningMethod
    base: BaseReference


def apply(model: BertModel, method: TuningMethod, *, base: str | os.PathLike | None) -> BertModel:
    """Applies a tuning method to a model that was loaded from `base`, which saving refers to.

    Args:
      model: plain.
      method: how it is tuned.
      base: what the encoder was loaded from; None where its weights are stored nowhere.

    Raises:
      ValueError: a method that keeps the base, but no base to keep.
    """
    if method.keeps_base and base is None:
        raise ValueError(
            f"--tuning={method.name} leaves weights as they are, and fresh ones (--from_scratch) "
            "are worth nothing. Take --tuning=full, or weights to begin with."
        )
    if model.encoder.attached:
        raise ValueError(
            f"{base} is tuned already, by layers of its own. Merge it first, if its method can be "
            "(bin/edit_model.py --merge), and begin with the result."
        )
    model = method.apply(model)
    if not model.trainable_variables:
        raise ValueError(
            f"--tuning={method.name} leaves nothing to learn: the head of this task has no weights."
            " Take another method."
        )
    if method.keeps_base:
        model.tuned = Tuned(method, BaseReference.to(base))
    return model


def merged(model: BertModel) -> BertModel:
    """Returns the plain model that computes the same: this one, changed.

    Raises:
      ValueError: its tuning method has no plain equivalent.
    """
    if model.tuned is None:
        return model
    model = model.tuned.method.merge(model)
    model.tuned = None
    return model


def merged_if_possible(model: BertModel) -> BertModel:
    """Returns what `merged` does, or the model itself where its method has no plain equivalent."""
    return merged(model) if model.tuned and model.tuned.method.mergeable else model


def tensors(model: BertModel) -> dict[str, np.ndarray]:
    """Returns the tensors of the tuned part, by their names in the file."""
    return adapter_names.with_prefix(
        rename.write(adapter_names.bindings(model, model.tuned.method))
    )


def write_peft_config(model: BertModel, directory: Path) -> None:
    """Writes adapter_config.json if PEFT has the method."""
    values = peft_config.describe(model)
    if values is not None:
        text = json.dumps(values, indent=2) + "\n"
        (directory / PEFT_CONFIG_FILE).write_text(text, encoding="utf-8")


def own_values(tuned: Tuned, directory: str | os.PathLike) -> dict[str, Any]:
    """Returns what config.json holds of the tuning under "keras_bert_suite"."""
    return {"tuning": tuned.method.to_config(), "base": tuned.base.to_config(directory)}


def load(
    found: Source,
    *,
    dtype: str | None,
    heads: Sequence[Head] | None,
    encoder: Encoder | None = None,
) -> BertModel:
    """Returns the base with the tuned part in it; for `load_model`, which says the rest.

    Args:
      found: the tuned part.
      dtype, heads: see `load_model`.
      encoder: the base's, where it is loaded already; the model then shares its weights.

    Raises:
      ValueError: the base is gone or changed, or the tuned part does not fit it.
      FileNotFoundError: no adapter_model.safetensors.
    """
    from keras_bert_suite.checkpoints.model_directory import load_model

    directory, own = found.directory, found.values[OWN_KEY]
    base = BaseReference.of(found)
    try:
        method = TuningMethod.from_config(own.get("tuning"))
        config = EncoderConfig.from_huggingface(found.values)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{found.config_file}: {error}") from error
    with SafetensorsFile(directory / PEFT_FILE) as file:
        source = CurrentNames(adapter_names.WithoutPrefix(file), config.family)
        kinds = _kinds(found, source)
        if heads is None:
            heads = [_head(kind, config, found, source, dtype) for kind in kinds]
        if encoder is None:
            model = method.apply(load_model(base.path, dtype=dtype, heads=heads))
        else:
            model = _sharing(encoder, heads, method, dtype=dtype)
        _read(source, model, method, kinds)
    model.tuned = Tuned(method, base)
    return model


def mixed(models: Mapping[str, BertModel]) -> MixedModel:
    """Returns the models of an AdapterSet as one, see there.

    Raises:
      ValueError: there are none, or they differ in more than can be told apart row by row.
    """
    if not models:
        raise ValueError("A model of several tasks needs a tuned part at least. Received: none")
    first = next(iter(models.values())).encoder
    config = first.config.replace(use_pooler=False)
    return MixedModel(_copy(first, config, [], dtype=first.dtype_policy).encoder, models)


def _sharing(
    base: Encoder, heads: Sequence[Head], method: TuningMethod, *, dtype: str | None
) -> BertModel:
    """A model with the method applied, whose encoder has the base's weights in their own memory.

    Of what the method tunes the model has copies, to be filled.
    """
    config = with_pooler(base.config, stored=base.pooler is not None, heads=heads)
    model = _copy(base, config, heads, dtype=dtype)
    method.apply(model)
    shared = {id(variable.value) for variable in base.weights}
    for variable in method.saved(model):
        if id(variable.value) in shared:
            part_from_others(variable)
    return model


def _copy(base: Encoder, config: EncoderConfig, heads: Sequence[Head], *, dtype: Any) -> BertModel:
    """A plain model whose encoder has the base's weights in their own memory."""
    with without_values() as unfilled:
        model = BertModel(Encoder(config, dtype=dtype), list(heads), dtype=dtype)
    for binding in bind(model.encoder, {}):
        path = binding.rule.ours
        if base.pooler is not None or not path.startswith("encoder.pooler."):
            share_value(binding.variable, rename.resolve({"encoder": base}, path))
    unfilled.initialize()
    return model


def _read(
    source: CurrentNames, model: BertModel, method: TuningMethod, kinds: Sequence[str]
) -> None:
    """Fills the tuned part; a head that the caller brings and the file lacks stays fresh."""
    table = TABLES[model.encoder.config.family]
    of_heads = {name for head in table.heads for name in _head_names(table, head)}
    stored = {name for kind in kinds for name in _head_names(table, kind)}
    here = {name for kind in model.heads for name in _head_names(table, kind)}
    pooler = {name for rule in table.pooler for name in rule.theirs}
    read = [
        binding
        for binding in adapter_names.bindings(model, method)
        if set(binding.rule.theirs) <= set(source.names)
        or not set(binding.rule.theirs) <= ((of_heads - stored) | pooler)
    ]
    aside = ((stored - here) | pooler) & set(source.names)
    aside -= {name for binding in read for name in binding.rule.theirs}
    rename.check(read, source, aside=aside)
    rename.read(read, source)


def _head_names(table: Any, kind: str) -> set[str]:
    return {name for rule in table.heads[kind] for name in rule.theirs}


def _kinds(found: Source, source: CurrentNames) -> list[str]:
    try:
        return huggingface_config.stored_heads(found.values, source, strict=True)
    except ValueError as error:
        raise ValueError(f"{found.config_file}: {error}") from error


def _head(
    kind: str, config: EncoderConfig, found: Source, source: CurrentNames, dtype: str | None
) -> Head:
    # The last rule is of the bias of the logits; a head without weights has none.
    names = [name for rule in source.table.heads[kind][-1:] for name in rule.theirs]
    shape = source.shape(names[0]) if names and names[0] in source.names else ()
    try:
        return huggingface_config.make_head(
            kind, config, found.values, dtype=dtype, num_labels=shape[0] if shape else None
        )
    except (ValueError, TypeError) as error:
        raise ValueError(f"{found.config_file}: {error}") from error
