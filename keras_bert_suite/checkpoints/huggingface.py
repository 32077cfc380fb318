"""Hugging Face's tensors, read and written by the family's table in huggingface_tables.py.

What config.json says of the heads is in huggingface_config.py. Source: the tensors that
transformers 5 writes (`BertForPreTraining`, ...) and the older names that it still reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints import rename
from keras_bert_suite.checkpoints.huggingface_tables import TABLES, FamilyTable
from keras_bert_suite.checkpoints.rename import Rule, TensorSource
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.families import HUGGINGFACE_KEYS, family_of
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.head import Head

KNOWN_HEADS = frozenset(kind for table in TABLES.values() for kind in table.heads)
# Not weights: 0, 1, 2, ... stored by older releases.
_IGNORED = "embeddings.position_ids"
# Endings of the first releases (and of google-bert/bert-base-uncased to this day) -> today's.
_OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
# The encoder's parts, which an encoder stored alone has without the family's prefix.
_ENCODER_PARTS = ("embeddings.", "embeddings_project.", "encoder.", "transformer.", "pooler.")


class CurrentNames:
    """A tensor source under today's names: "bert." before the encoder's, weight and bias in norms.

    Args:
      source: the tensors under the names in the file.
      family: the encoder's family, which gives the prefix.

    Raises:
      ValueError: two tensors of the source have the same name today.
    """

    def __init__(self, source: TensorSource, family: str = "bert"):
        self.table = TABLES[family]
        self.path = source.path
        self._source = source
        self._stored: dict[str, str] = {}
        for name in sorted(source.names):
            today = _current_name(name, self.table.prefix)
            if today in self._stored:
                raise ValueError(
                    f"{self.path}: {self._stored[today]!r} and {name!r} are two names of one "
                    "tensor. Remove one of them"
                )
            self._stored[today] = name

    @property
    def names(self) -> Collection[str]:
        return self._stored.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._source.shape(self._stored[name])

    def read(self, name: str) -> np.ndarray:
        return self._source.read(self._stored[name])


def _current_name(name: str, prefix: str) -> str:
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return prefix + name if name.startswith(_ENCODER_PARTS) else name


def check_sizes(values: Mapping[str, Any], num_layers: int, source: TensorSource) -> None:
    """Compares config.json with the tensors before a model of its sizes is made.

    Args:
      values: Hugging Face's keys, with all sizes (`EncoderConfig.to_huggingface`).
      num_layers: the encoder's blocks.
      source: under today's names.

    Raises:
      ValueError: a tensor is missing or has another size; names the key and the tensor.
    """
    table = TABLES[family_of(values)]
    for key, name, axis in table.sizes:
        if name not in source.names:
            raise ValueError(f"{source.path}: tensor {name!r} is missing")
        shape = tuple(source.shape(name))
        if axis >= len(shape) or shape[axis] != values[key]:
            raise ValueError(
                f"{source.path}: tensor {name!r} has the shape {list(shape)}, but config.json says "
                f"{key}={values[key]}. One of the two files belongs to another model"
            )
    if table.layers is None:
        return
    stem = table.layers
    layered = [name.removeprefix(stem) for name in source.names if name.startswith(stem)]
    numbers = {name.split(".")[0] for name in layered}
    if len(numbers) != num_layers:
        raise ValueError(
            f"{source.path}: holds {len(numbers)} layers, but config.json says "
            f"{_layers_key(values)}={num_layers}. One of the two files belongs to another model"
        )


def _layers_key(values: Mapping[str, Any]) -> str:
    return HUGGINGFACE_KEYS[family_of(values)]["num_layers"]


def has_head(source: TensorSource, kind: str, table: FamilyTable) -> bool:
    """Returns whether any tensor of the head is there; the source is under today's names."""
    return any(name in source.names for rule in table.heads[kind] for name in rule.theirs)


def with_pooler_as_stored(
    config: EncoderConfig, source: CurrentNames, heads: Sequence[Head] | None
) -> EncoderConfig:
    """Returns the configuration with the pooler that the model shall have; config.json has no key.

    It has one where the file does or a head reads it. A caller's heads that leave it alone (token
    labels, spans) need none, as in transformers; continued pre-training keeps it.

    Args:
      config: read from config.json.
      source: the tensors.
      heads: those that the caller asks for; None for all of the file, () for the encoder alone.
    """
    return with_pooler(config, stored=_has_pooler(source), heads=heads)


def with_pooler(
    config: EncoderConfig, *, stored: bool, heads: Sequence[Head] | None
) -> EncoderConfig:
    """Does the same, told whether the pooler is `stored`."""
    if not TABLES[config.family].pooler:
        return config
    needed = any(head.uses_pooler for head in heads or ())
    spared = bool(heads) and not any(head.kind == "mlm" for head in heads or ())
    return config.replace(use_pooler=needed or (stored and not spared))


def read_weights(source: CurrentNames, encoder: Encoder, heads: Mapping[str, Head]) -> bool:
    """Fills the encoder and the heads.

    Args:
      source: the tensors; those of heads that are not asked for, and a pooler that the encoder does
        not have, are left alone.
      encoder, heads: built; `heads` by kind.

    Returns:
      Whether the encoder's pooler, if it has one, was in the file. Otherwise it stays as it was
      initialised, which is an error if a head was trained on it.

    Raises:
      ValueError: names or shapes do not fit, tied tensors differ, a value is not finite.
    """
    table = source.table
    bindings = bind(encoder, heads)
    pooler = _names(table.pooler)
    fresh = encoder.pooler is not None and not _has_pooler(source)
    if fresh and not any(head.uses_pooler for head in heads.values()):
        bindings = [binding for binding in bindings if binding.rule not in table.pooler]
    wanted = {name for binding in bindings for name in binding.rule.theirs}
    other_heads = {name for name in source.names if not name.startswith(table.prefix)} - wanted
    aside = {table.prefix + _IGNORED, *other_heads}
    rename.check(bindings, source, aside=aside if encoder.pooler is not None else aside | pooler)
    if "mlm" in heads:
        rename.check_tied(source, table.ties)
    rename.read(bindings, source)
    return not fresh


def write_weights(encoder: Encoder, heads: Mapping[str, Head]) -> dict[str, np.ndarray]:
    """Returns Hugging Face's names -> values, as transformers stores a model with these heads."""
    tensors = rename.write(bind(encoder, heads))
    if heads:
        return tensors
    prefix = TABLES[encoder.config.family].prefix
    return {name.removeprefix(prefix): value for name, value in tensors.items()}


def check_heads(family: str, kinds: Collection[str]) -> None:
    """Refuses heads that Hugging Face has no place for.

    Raises:
      ValueError: a head that the family does not have, or two heads with tensors of one name.
    """
    table = TABLES[family]
    seen: dict[str, str] = {}
    for kind in kinds:
        if kind not in table.heads:
            raise ValueError(
                f"A head must be one of {', '.join(table.heads)} to be saved with an encoder of "
                f"the family {family!r}. Received: {kind!r}"
            )
        for name in sorted(_names(table.heads[kind])):
            if name in seen:
                raise ValueError(
                    "A model directory holds one head for each name of Hugging Face's tensors. "
                    f"Received: {seen[name]!r} and {kind!r}, which both are {name!r}"
                )
            seen[name] = kind


def surplus_tensors(source: CurrentNames, kinds: Collection[str]) -> list[str]:
    """Returns the names that belong neither to the encoder nor to heads of these kinds."""
    table = source.table
    known = {name for kind in kinds for name in _names(table.heads[kind])}
    if "mlm" in kinds:
        known.update(table.ties)
    return sorted(n for n in source.names if not n.startswith(table.prefix) and n not in known)


def _has_pooler(source: CurrentNames) -> bool:
    return any(name in source.names for name in _names(source.table.pooler))


def _names(rules: Iterable[Rule]) -> set[str]:
    return {name for rule in rules for name in rule.theirs}


def bind(
    encoder: Encoder, heads: Mapping[str, Head], *, more: Iterable[Rule] = ()
) -> list[rename.Binding]:
    """Returns each weight with its names: of the encoder, of the heads by kind, and by `more`.

    Raises:
      ValueError: a weight without a rule, or a head that the family does not have.
    """
    check_heads(encoder.config.family, heads)
    table = TABLES[encoder.config.family]
    rules = [*table.encoder]
    if encoder.config.embedding_size is not None:
        rules += table.projection
    if encoder.pooler is not None:
        rules += table.pooler
    for kind in heads:
        rules += table.heads[kind]
    if encoder.config.embedding_size is None:
        rules = [rule for rule in rules if ".projection." not in rule.ours]
    rules = rename.expand(rules, num_layers=len(encoder.blocks))
    return rename.bind([*rules, *more], {"encoder": encoder, **heads})
