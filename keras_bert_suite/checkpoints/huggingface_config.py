"""What Hugging Face's config.json says of a BERT's heads: architectures, labels, dropout.

The encoder's own keys are read and written by `EncoderConfig`. Source: transformers 5,
`PretrainedConfig` and `BertConfig`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keras_bert_suite.checkpoints.huggingface import HEAD_RULES, has_head
from keras_bert_suite.checkpoints.rename import TensorSource
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.head import Head
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead

OWN_KEY = "keras_bert_suite"  # what Hugging Face has no key for stands under this one

_ARCHITECTURES = {
    "BertModel": (),
    "BertForPreTraining": ("mlm", "nsp"),
    "BertForMaskedLM": ("mlm",),
    "BertForNextSentencePrediction": ("nsp",),
    "BertForSequenceClassification": ("classification",),
}
# Whether these tensors belong to a sequence classifier only `architectures` can tell: transformers
# uses the same names for token classification and multiple choice.
_AMBIGUOUS = ("classification",)
# What a head may be without changing a number it computes from given weights.
_NOT_STORED = ("name", "trainable", "dtype", "initializer_range")


def architecture_of(kinds: Iterable[str]) -> str:
    """Returns the name of transformers' class for a set of heads.

    A set that it has no class for gets the class of its last head; to transformers the other heads
    are surplus tensors, and we know them by the list under "keras_bert_suite".
    """
    kinds = tuple(kinds)
    for name, heads in _ARCHITECTURES.items():
        if set(heads) == set(kinds):
            return name
    return next(name for name, heads in _ARCHITECTURES.items() if heads == kinds[-1:])


def stored_heads(values: Mapping[str, Any], source: TensorSource, *, strict: bool) -> list[str]:
    """Returns the kinds of the heads that a directory holds.

    In a directory of ours "keras_bert_suite" lists them, and must agree with `architectures`. In
    any other they are those of `architectures` and those whose tensors are there:
    google-bert/bert-base-uncased calls itself BertForMaskedLM and carries the NSP head too.

    Args:
      values: config.json.
      source: under today's names.
      strict: whether architectures without a head of ours are an error, or have no heads.

    Raises:
      ValueError: an unknown architecture or head, or the two lists contradict each other.
    """
    named = values.get("architectures") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ValueError(f"`architectures` must be a list of names. Received: {named!r}")
    unknown = [name for name in named if name not in _ARCHITECTURES]
    if unknown and strict:
        raise ValueError(
            f"`architectures` must be of {', '.join(_ARCHITECTURES)}. Received: {unknown[0]}. "
            "Load its encoder alone, or give the heads that it shall have"
        )
    if not isinstance(values.get(OWN_KEY, {}), dict):
        raise ValueError(f'"{OWN_KEY}" must be an object. Received: {values[OWN_KEY]!r}')
    ours = values.get(OWN_KEY, {}).get("heads")
    if ours is None:
        found = [kind for name in named for kind in _ARCHITECTURES.get(name, ())]
        found += [k for k in HEAD_RULES if k not in _AMBIGUOUS and has_head(source, k)]
        return list(dict.fromkeys(found))
    if not isinstance(ours, list) or not all(isinstance(head, dict) for head in ours):
        raise ValueError(f'"heads" under "{OWN_KEY}" must be a list of objects. Received: {ours!r}')
    kinds = [head.get("kind") for head in ours]
    for kind in kinds:
        if kind not in HEAD_RULES:
            raise ValueError(f"A head must be one of {', '.join(HEAD_RULES)}. Received: {kind!r}")
    if named != [architecture_of(kinds)]:
        raise ValueError(
            f'`architectures` {named} contradicts the heads {kinds} under "{OWN_KEY}". '
            f'If another program wrote this model, remove "{OWN_KEY}" from config.json'
        )
    return kinds


def make_head(
    kind: str,
    config: EncoderConfig,
    values: Mapping[str, Any],
    *,
    dtype: str | None = None,
    num_labels: int | None = None,
) -> Head:
    """Returns a fresh head as config.json describes it.

    Args:
      kind: a key of HEAD_RULES.
      config: the encoder's.
      values: config.json.
      dtype: Keras dtype policy.
      num_labels: labels that the tensors hold; counts where config.json gives them no names.

    Raises:
      ValueError: the labels are not numbered 0, 1, 2, ... or are no alternatives of each other.
    """
    if kind == "mlm":
        return MaskedLMHead.for_encoder(config, dtype=dtype)
    if kind == "nsp":
        return NextSentenceHead.for_encoder(config, dtype=dtype)
    problem = values.get("problem_type")
    if problem not in (None, "single_label_classification"):
        raise ValueError(
            f"`problem_type` must be 'single_label_classification'. Received: {problem!r}"
        )
    dropout = values.get("classifier_dropout")
    return ClassificationHead(
        labels=_labels(values, num_labels),
        hidden_size=config.hidden_size,
        dropout=config.hidden_dropout if dropout is None else dropout,
        initializer_range=config.initializer_range,
        dtype=dtype,
    )


def _labels(values: Mapping[str, Any], num_labels: int | None) -> list[str]:
    placeholders = [f"LABEL_{index}" for index in range(num_labels or 0)]
    id2label = values.get("id2label")
    if id2label is None:
        return placeholders
    if not isinstance(id2label, dict):
        raise ValueError(f"`id2label` must be an object. Received: {id2label!r}")
    if set(id2label) != {str(index) for index in range(len(id2label))}:
        raise ValueError(
            f"`id2label` must number the labels 0, 1, 2, ... Received the ids {list(id2label)}"
        )
    labels = [str(id2label[str(index)]) for index in range(len(id2label))]
    # Old releases left two placeholders there whatever the number of labels; they name nothing.
    unnamed = labels == [f"LABEL_{index}" for index in range(len(labels))]
    return placeholders if unnamed and num_labels else labels


def describe(config: EncoderConfig, heads: Mapping[str, Head], *, dtype: str) -> dict[str, Any]:
    """Returns config.json for an encoder with these heads, "keras_bert_suite" with their list.

    Args:
      config: the encoder's.
      heads: kind -> head.
      dtype: of the stored weights, e.g. "float32".

    Raises:
      ValueError: a head has a setting that config.json has no key for, so that reading would make
        another head of it.
    """
    for kind in heads:
        if kind not in HEAD_RULES:
            raise ValueError(
                f"A head must be one of {', '.join(HEAD_RULES)} to be saved. Received: {kind!r}"
            )
    values = {"architectures": [architecture_of(heads)], **config.to_huggingface(), "dtype": dtype}
    for head in heads.values():
        if isinstance(head, ClassificationHead):
            values["id2label"] = {str(index): label for index, label in enumerate(head.labels)}
            values["label2id"] = {label: index for index, label in enumerate(head.labels)}
            values["classifier_dropout"] = head.dropout_rate
            values["problem_type"] = "single_label_classification"
    values[OWN_KEY] = {"heads": [{"kind": kind} for kind in heads]}
    for kind, head in heads.items():
        wanted, stored = head.get_config(), make_head(kind, config, values).get_config()
        changed = [k for k in wanted if k not in _NOT_STORED and wanted[k] != stored.get(k)]
        if changed:
            raise ValueError(
                f"The head {kind!r} must agree with its encoder to be saved. Received: "
                + ", ".join(f"{k}={wanted[k]!r} (encoder: {stored.get(k)!r})" for k in changed)
            )
    return values
