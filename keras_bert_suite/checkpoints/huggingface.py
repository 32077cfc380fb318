"""The names under which Hugging Face stores a BERT.

The rename table, read in both directions. What config.json says of the heads is in
huggingface_config.py. Source: the tensors that transformers 5 writes (`BertForPreTraining`, ...)
and the older names that it still reads.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints import rename
from keras_bert_suite.checkpoints.rename import TRANSPOSED, Rule, TensorSource
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.head import Head

PREFIX = "bert."  # of the encoder's tensors, wherever there is a head


def _dense(ours: str, *theirs: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{ours}.kernel", tuple(f"{name}.weight" for name in theirs), TRANSPOSED),
        Rule(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs)),
    )


def _norm(ours: str, theirs: str) -> tuple[Rule, Rule]:
    return (
        Rule(f"{ours}.gamma", (f"{theirs}.weight",)),
        Rule(f"{ours}.beta", (f"{theirs}.bias",)),
    )


def _embedding(ours: str, theirs: str) -> Rule:
    return Rule(f"{ours}.embeddings", (f"{theirs}.weight",))


_OURS, _THEIRS = "encoder.blocks.{layer}", "bert.encoder.layer.{layer}"

ENCODER_RULES = (
    _embedding("encoder.embeddings.token_embeddings", "bert.embeddings.word_embeddings"),
    _embedding("encoder.embeddings.position_embeddings", "bert.embeddings.position_embeddings"),
    _embedding("encoder.embeddings.segment_embeddings", "bert.embeddings.token_type_embeddings"),
    *_norm("encoder.embeddings.layer_norm", "bert.embeddings.LayerNorm"),
    *_dense(
        f"{_OURS}.attention.query_key_value",
        f"{_THEIRS}.attention.self.query",
        f"{_THEIRS}.attention.self.key",
        f"{_THEIRS}.attention.self.value",
    ),
    *_dense(f"{_OURS}.attention.output_dense", f"{_THEIRS}.attention.output.dense"),
    *_norm(f"{_OURS}.attention_norm", f"{_THEIRS}.attention.output.LayerNorm"),
    *_dense(f"{_OURS}.feed_forward.intermediate", f"{_THEIRS}.intermediate.dense"),
    *_dense(f"{_OURS}.feed_forward.output_dense", f"{_THEIRS}.output.dense"),
    *_norm(f"{_OURS}.feed_forward_norm", f"{_THEIRS}.output.LayerNorm"),
)
# A rule set of its own: a model that transformers trained for masked tokens alone has no pooler.
POOLER_RULES = _dense("encoder.pooler", "bert.pooler.dense")
HEAD_RULES = {
    "mlm": (
        Rule("mlm.bias", ("cls.predictions.bias",)),
        *_dense("mlm.transform", "cls.predictions.transform.dense"),
        *_norm("mlm.layer_norm", "cls.predictions.transform.LayerNorm"),
    ),
    "nsp": _dense("nsp.classifier", "cls.seq_relationship"),
    "classification": _dense("classification.classifier", "classifier"),
}
# Heads that were trained on the pooled output: they mean nothing without the file's pooler.
POOLED_HEADS = ("nsp", "classification")
# Tensors that repeat another: our heads share the variable. A file may store both, if equal.
TIES = {
    "cls.predictions.decoder.weight": "bert.embeddings.word_embeddings.weight",
    "cls.predictions.decoder.bias": "cls.predictions.bias",
}
# Not weights: 0, 1, 2, ... stored by older releases.
IGNORED = ("bert.embeddings.position_ids",)

# Endings of the first releases (and of google-bert/bert-base-uncased to this day) -> today's.
_OLD_ENDINGS = {"LayerNorm.gamma": "LayerNorm.weight", "LayerNorm.beta": "LayerNorm.bias"}
_ENCODER_PARTS = ("embeddings.", "encoder.", "pooler.")

# config.json's key, and the tensor and axis that must have the same size.
_SIZES = (
    ("vocab_size", "bert.embeddings.word_embeddings.weight", 0),
    ("hidden_size", "bert.embeddings.word_embeddings.weight", 1),
    ("max_position_embeddings", "bert.embeddings.position_embeddings.weight", 0),
    ("type_vocab_size", "bert.embeddings.token_type_embeddings.weight", 0),
    ("intermediate_size", "bert.encoder.layer.0.intermediate.dense.weight", 0),
)


class CurrentNames:
    """A tensor source under today's names: "bert." before the encoder's, weight and bias in norms.

    Raises:
      ValueError: two tensors of the source have the same name today.
    """

    def __init__(self, source: TensorSource):
        self.path = source.path
        self._source = source
        self._stored: dict[str, str] = {}
        for name in sorted(source.names):
            today = _current_name(name)
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


def _current_name(name: str) -> str:
    for old, new in _OLD_ENDINGS.items():
        if name.endswith(old):
            name = name.removesuffix(old) + new
    return PREFIX + name if name.startswith(_ENCODER_PARTS) else name


def check_sizes(values: Mapping[str, Any], num_layers: int, source: TensorSource) -> None:
    """Compares config.json with the tensors before a model of its sizes is made.

    Args:
      values: Hugging Face's keys, with all sizes (`EncoderConfig.to_huggingface`).
      num_layers: the encoder's blocks.
      source: under today's names.

    Raises:
      ValueError: a tensor is missing or has another size; names the key and the tensor.
    """
    for key, name, axis in _SIZES:
        if name not in source.names:
            raise ValueError(f"{source.path}: tensor {name!r} is missing")
        shape = tuple(source.shape(name))
        if axis >= len(shape) or shape[axis] != values[key]:
            raise ValueError(
                f"{source.path}: tensor {name!r} has the shape {list(shape)}, but config.json says "
                f"{key}={values[key]}. One of the two files belongs to another model"
            )
    stem = f"{PREFIX}encoder.layer."
    layered = [name.removeprefix(stem) for name in source.names if name.startswith(stem)]
    numbers = {name.split(".")[0] for name in layered}
    if len(numbers) != num_layers:
        raise ValueError(
            f"{source.path}: holds {len(numbers)} layers, but config.json says "
            f"num_hidden_layers={num_layers}. One of the two files belongs to another model"
        )


def has_head(source: TensorSource, kind: str) -> bool:
    """Returns whether any tensor of the head is there; the source is under today's names."""
    return any(name in source.names for rule in HEAD_RULES[kind] for name in rule.theirs)


def read_weights(source: CurrentNames, encoder: Encoder, heads: Mapping[str, Head]) -> bool:
    """Fills the encoder and the heads.

    Args:
      source: the tensors; those of heads that are not asked for are left alone.
      encoder, heads: built; `heads` by kind.

    Returns:
      Whether the file holds a pooler. Without one the encoder's stays as it was initialised, which
      is an error if a head was trained on it.

    Raises:
      ValueError: names or shapes do not fit, tied tensors differ, a value is not finite.
    """
    bindings = _bind(encoder, heads)
    pooler = [name for rule in POOLER_RULES for name in rule.theirs]
    has_pooler = any(name in source.names for name in pooler)
    if not has_pooler and not any(kind in POOLED_HEADS for kind in heads):
        bindings = [binding for binding in bindings if binding.rule not in POOLER_RULES]
    wanted = {name for binding in bindings for name in binding.rule.theirs}
    other_heads = {name for name in source.names if not name.startswith(PREFIX)} - wanted
    rename.check(bindings, source, aside={*IGNORED, *other_heads})
    if "mlm" in heads:
        rename.check_tied(source, TIES)
    rename.read(bindings, source)
    return has_pooler


def write_weights(encoder: Encoder, heads: Mapping[str, Head]) -> dict[str, np.ndarray]:
    """Returns Hugging Face's names -> values, as transformers stores a model with these heads."""
    tensors = rename.write(_bind(encoder, heads))
    if heads:
        return tensors
    return {name.removeprefix(PREFIX): value for name, value in tensors.items()}


def surplus_tensors(source: TensorSource, kinds: Iterable[str]) -> list[str]:
    """Returns the names that belong neither to the encoder nor to heads of these kinds."""
    known = {name for kind in kinds for rule in HEAD_RULES[kind] for name in rule.theirs}
    if "mlm" in kinds:
        known.update(TIES)
    return sorted(n for n in source.names if not n.startswith(PREFIX) and n not in known)


def _bind(encoder: Encoder, heads: Mapping[str, Head]) -> list[rename.Binding]:
    rules = [*ENCODER_RULES, *POOLER_RULES]
    for kind in heads:
        rules += HEAD_RULES[kind]
    rules = rename.expand(rules, num_layers=encoder.config.num_layers)
    return rename.bind(rules, {"encoder": encoder, **heads})
