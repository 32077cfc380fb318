"""KerasHub's presets on disk, read without running what they name, and those of BERT written.

config.json                        the backbone's class and arguments
model.weights.h5                   its weights, by Keras' own paths
task.json  task.weights.h5         a classifier on top, where there is one
tokenizer.json  assets/tokenizer/vocabulary.txt

A BERT of KerasHub computes the tanh form of GELU, LayerNorm with epsilon 1e-12 and one dropout
rate; it has no next-sentence head, and its masked-LM head computes another GELU (erf) and epsilon
(1e-5) than a BERT whose encoder it fits. Source: keras_hub 0.32, models/bert/.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from keras_bert_suite.checkpoints.foreign_names import (
    KERNEL,
    SAME,
    ForeignRule,
    expand,
    to_foreign,
)
from keras_bert_suite.checkpoints.h5_file import H5File, write_arrays
from keras_bert_suite.checkpoints.keras_hub_tables import (
    BACKBONES,
    CLASSES,
    EPSILON,
    OF_FAMILY,
    weights,
)
from keras_bert_suite.config import EncoderConfig

if TYPE_CHECKING:
    from keras_bert_suite.text.tokenizer import Tokenizer

CONFIG_FILE, WEIGHTS_FILE = "config.json", "model.weights.h5"
TASK_FILE, TASK_WEIGHTS_FILE = "task.json", "task.weights.h5"
TOKENIZER_FILE, VOCABULARY_FILE = "tokenizer.json", "assets/tokenizer/vocabulary.txt"
LABELS_FILE = "labels.json"  # ours: KerasHub keeps no names of classes
_BACKBONE, _CLASSIFIER = "keras_hub>BertBackbone", "keras_hub>BertTextClassifier"

_CONFIG_KEYS, RULES = BACKBONES[_BACKBONE].config_keys, BACKBONES[_BACKBONE].rules
CLASSIFIER_RULES = weights("dense", "classifier", KERNEL, SAME)
_CLASSIFIER_NAMES = tuple(rule.huggingface for rule in CLASSIFIER_RULES)


def is_preset(values: Mapping[str, Any]) -> bool:
    """Returns whether a config.json is KerasHub's, of whatever model."""
    return str(values.get("registered_name", "")).startswith(("keras_hub>", "keras_nlp>"))


def to_huggingface_config(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the backbone's arguments under Hugging Face's keys.

    Raises:
      ValueError: a backbone without a table, or its arguments are not there.
    """
    name = str(values["registered_name"]).replace("keras_nlp>", "keras_hub>")
    if name not in BACKBONES:
        known = ", ".join(name.split(">")[1] for name in BACKBONES)
        raise ValueError(f"of KerasHub's models only {known} are read. Received: {name[:80]!r}")
    table, arguments = BACKBONES[name], values.get("config")
    if not isinstance(arguments, dict) or not set(table.config_keys) <= set(arguments):
        needed = ", ".join(table.config_keys)
        raise ValueError(f"a {name.split('>')[1]} needs the arguments {needed}")
    converted = {theirs: arguments[ours] for ours, theirs in table.config_keys.items()}
    return {
        "model_type": table.family,
        "architectures": [table.architecture],
        **converted,
        table.attention_dropout: arguments["dropout"],
        **table.fixed,
    }


def left_out(family: str) -> tuple[str, ...]:
    """Returns what of the backbone has no place here, for the log and --allow_missing."""
    if OF_FAMILY[family].has_pooler:
        return ()
    return (f"{CLASSES[family]}: its pooled_dense, which the family {family!r} has not",)


def task_config(values: Mapping[str, Any], labels: Any) -> tuple[dict[str, Any], str]:
    """Returns what task.json adds to Hugging Face's config, and which head is left out.

    Args:
      values: task.json.
      labels: labels.json, or None.
    """
    name = str(values.get("registered_name", "")).replace("keras_nlp>", "keras_hub>")
    arguments = values.get("config")
    if name != _CLASSIFIER or not isinstance(arguments, dict):
        return {}, f"{name.split('>')[-1][:80]}: its head computes what no head here computes"
    found: dict[str, Any] = {"architectures": ["BertForSequenceClassification"]}
    if "dropout" in arguments:
        found["classifier_dropout"] = arguments["dropout"]
    if labels is not None:
        found["id2label"] = labels
    return found, ""


def unknown(name: str, family: str) -> str:
    """Returns the name that a weight without a rule is reported under."""
    return f"{family}." + name.replace("/", ".")


def is_left_out(name: str, family: str, names: Collection[str]) -> bool:
    """Returns whether a weight is the backbone's pooler, where the family has none.

    It is the last dense layer; another one comes before it where the embeddings are projected.
    """
    projected = any(other.startswith("layers/dense_1/") for other in names)
    stem = "layers/dense_1/" if projected else "layers/dense/"
    return not OF_FAMILY[family].has_pooler and name.startswith(stem)


def is_optimizer(name: str) -> bool:
    """Returns whether a weight of task.weights.h5 belongs to the optimizer."""
    return name.startswith("optimizer/")


def rules_for(names: Collection[str], family: str, *, num_layers: int) -> list[ForeignRule]:
    """Returns the rules of a backbone's file, expanded; Keras 2.13 gave its layers another root."""
    rules = expand(OF_FAMILY[family].rules, num_layers=num_layers)
    old = "_layer_checkpoint_dependencies/"
    if not any(name.startswith(old) for name in names):
        return rules
    return [dataclasses.replace(rule, theirs=rule.theirs.replace("layers/", old)) for rule in rules]


def obstacles(
    config: EncoderConfig, heads: Mapping[str, Any], *, has_pooler: bool
) -> dict[str, str]:
    """Returns what KerasHub's BERT has no place for: a word for --allow_missing -> the reason.

    Raises:
      ValueError: the encoder is no BERT at all.
    """
    family = config.to_huggingface()["model_type"]
    if family != "bert":
        raise ValueError(f"Only BERT is written as a preset of KerasHub. Received: {family}")
    found = {}
    if not has_pooler:
        found["pooler"] = "KerasHub's BERT has a pooler, this model none; it would be zeros"
    if config.activation != "gelu_tanh":
        found["activation"] = (
            f"KerasHub's BERT computes the tanh form of GELU, this model {config.activation!r}"
        )
    if config.layer_norm_epsilon != EPSILON:
        found["epsilon"] = (
            f"KerasHub's BERT has layer_norm_epsilon={EPSILON}, this model "
            f"{config.layer_norm_epsilon}"
        )
    if config.local_attention is not None:
        found["local_attention"] = (
            "KerasHub's BERT sees all tokens in all layers, this model a window of "
            f"{config.local_attention} in some"
        )
    if config.hidden_dropout != config.attention_dropout:
        found["dropout"] = (
            f"KerasHub's BERT has one dropout rate, this model {config.hidden_dropout} and, in "
            f"attention, {config.attention_dropout}"
        )
    lost = [kind for kind in heads if kind != "classification"]
    if lost:
        found["head"] = f"KerasHub's BERT has no such head: {', '.join(lost)}"
    return found


def write_preset(
    folder: Path,
    config: EncoderConfig,
    tensors: Mapping[str, np.ndarray],
    *,
    classifier: Any = None,
    tokenizer: Tokenizer | None = None,
) -> None:
    """Writes a preset that `keras_hub.models.BertBackbone.from_preset(folder)` opens.

    Args:
      folder: an empty directory.
      config: the encoder's; `obstacles` says what of it is lost.
      tensors: Hugging Face's names -> arrays: encoder, pooler and, with a classifier, its own.
      classifier: our ClassificationHead, or None.
      tokenizer: its vocabulary and casing are written too.

    Raises:
      ValueError: a tensor has no place, or the tokenizer has an option that KerasHub lacks.
      OSError: a file could not be written.
    """
    import keras_hub  # takes seconds

    arguments = config.to_huggingface()
    backbone = keras_hub.models.BertBackbone(
        **{ours: arguments[theirs] for ours, theirs in _CONFIG_KEYS.items()}, dtype="float32"
    )
    model: Any = backbone
    if classifier is not None:
        model = keras_hub.models.BertTextClassifier(
            backbone, num_classes=len(classifier.labels), dropout=classifier.dropout_rate
        )
        _write_labels(folder, classifier.labels)
    model.save_to_preset(str(folder))
    if tokenizer is not None:
        _keras_hub_tokenizer(tokenizer).save_to_preset(str(folder))
    rules = expand(RULES, num_layers=config.num_layers)
    # An encoder alone is stored without the prefix.
    own = {f"bert.{name.removeprefix('bert.')}": t for name, t in tensors.items()}
    rest = {name: own.pop(f"bert.{name}") for name in _CLASSIFIER_NAMES if name in tensors}
    own.setdefault("bert.pooler.dense.weight", np.zeros([config.hidden_size] * 2, np.float32))
    own.setdefault("bert.pooler.dense.bias", np.zeros(config.hidden_size, np.float32))
    _fill(folder / WEIGHTS_FILE, rules, own)
    if classifier is not None:
        _fill(folder / TASK_WEIGHTS_FILE, CLASSIFIER_RULES, rest)


def _fill(path: Path, rules: Any, tensors: Mapping[str, np.ndarray]) -> None:
    """Puts the tensors in the places of a file that Keras has written."""
    with H5File(path) as file:
        names = [name for name in file.names if not is_optimizer(name)]
        shapes = {name: file.shape(name) for name in names}
    write_arrays(path, to_foreign(rules, tensors, shapes))


def _keras_hub_tokenizer(tokenizer: Tokenizer) -> Any:
    import keras_hub

    from keras_bert_suite.text.wordpiece_tokenizer import WordPieceTokenizer

    if not isinstance(tokenizer, WordPieceTokenizer) or not tokenizer.split_cjk:
        raise ValueError(
            "KerasHub's BertTokenizer splits words and Chinese characters as BERT does. Received: "
            f"{type(tokenizer).__name__}, split_cjk={getattr(tokenizer, 'split_cjk', None)}"
        )
    return keras_hub.models.BertTokenizer(
        vocabulary=list(tokenizer.vocabulary),
        lowercase=tokenizer.lowercase,
        strip_accents=tokenizer.strip_accents,
    )


def _write_labels(folder: Path, labels: Any) -> None:
    id2label = {str(index): label for index, label in enumerate(labels)}
    text = json.dumps(id2label, ensure_ascii=False, indent=2) + "\n"
    (folder / LABELS_FILE).write_text(text, encoding="utf-8")


def tokenizer_options(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the keyword arguments of our Tokenizer that tokenizer.json sets.

    Raises:
      ValueError: it is another tokenizer than BERT's.
    """
    name = str(values.get("registered_name", "")).replace("keras_nlp>", "keras_hub>")
    arguments = values.get("config")
    if name != "keras_hub>BertTokenizer" or not isinstance(arguments, dict):
        raise ValueError(f"must describe KerasHub's BertTokenizer. Received: {name[:80]!r}")
    return {
        "lowercase": bool(arguments.get("lowercase", False)),
        "strip_accents": bool(arguments.get("strip_accents", False)),
    }
