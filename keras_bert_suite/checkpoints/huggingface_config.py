"""What Hugging Face's config.json says of a model's heads: architectures, labels, dropout.

The encoder's own keys are read and written by `EncoderConfig`. Source: transformers 5,
`PretrainedConfig`, `BertConfig`, `DistilBertConfig`, ...
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from keras_bert_suite.checkpoints.huggingface import check_heads, has_head
from keras_bert_suite.checkpoints.huggingface_tables import TABLES
from keras_bert_suite.checkpoints.rename import TensorSource
from keras_bert_suite.checkpoints.sources import OWN_KEY
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.families import family_of
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.head import Head
from keras_bert_suite.models.heads.layer_vectors import EmbeddingHead, TokenVectorsHead
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.multi_label import MultiLabelHead
from keras_bert_suite.models.heads.multiple_choice import MultipleChoiceHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.regression import RegressionHead
from keras_bert_suite.models.heads.replaced_token import ReplacedTokenHead
from keras_bert_suite.models.heads.sentence_order import SentenceOrderHead
from keras_bert_suite.models.heads.span_boundary import SpanBoundaryHead
from keras_bert_suite.models.heads.span_classification import SpanClassificationHead
from keras_bert_suite.models.heads.span_question import SpanQuestionHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead

_HEADS: dict[str, type[Head]] = {
    head.kind: head
    for head in (
        MaskedLMHead,
        NextSentenceHead,
        SentenceOrderHead,
        SpanBoundaryHead,
        ReplacedTokenHead,
        ClassificationHead,
        TokenLabelingHead,
        MultipleChoiceHead,
        SpanQuestionHead,
        SpanClassificationHead,
        EmbeddingHead,
        TokenVectorsHead,
    )
}
# transformers has one class for all three; `problem_type` tells them apart.
_BY_PROBLEM: dict[str, type[Head]] = {
    head.problem_type: head for head in (ClassificationHead, RegressionHead, MultiLabelHead)
}
_LABELLED = ("classification", "labeling")  # heads whose classes `id2label` names
# Whether these tensors belong to a sequence classifier, only `architectures` can tell: transformers
# uses the same names for token classification and multiple choice.
_AMBIGUOUS = ("classification", "labeling", "multiple_choice")
# What a head may be without changing a number it computes from given weights.
_NOT_STORED = ("name", "trainable", "dtype", "initializer_range")


def architecture_of(kinds: Iterable[str], family: str = "bert") -> str:
    """Returns the name of transformers' class for a set of heads.

    Heads that it has in no class of the family do not count. A set that it has no class for gets
    the class of its last head; to transformers the other heads are surplus tensors, and we know
    them by the list under "keras_bert_suite".
    """
    classes = TABLES[family].classes
    known = {kind for heads in classes.values() for kind in heads}
    kinds = tuple(kind for kind in kinds if kind in known)
    for name, heads in classes.items():
        if set(heads) == set(kinds):
            return name
    own = [name for name, heads in classes.items() if heads == kinds[-1:]]
    return (own or [name for name, heads in classes.items() if kinds[-1] in heads])[0]


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
    family = family_of(values)
    table = TABLES[family]
    named = values.get("architectures") or []
    if not isinstance(named, list) or not all(isinstance(name, str) for name in named):
        raise ValueError(f"`architectures` must be a list of names. Received: {named!r}")
    unknown = [name for name in named if name not in table.classes]
    if unknown and strict:
        raise ValueError(
            f"`architectures` must be of {', '.join(table.classes)}. Received: {unknown[0]}. "
            "Load its encoder alone, or give the heads that it shall have"
        )
    if not isinstance(values.get(OWN_KEY, {}), dict):
        raise ValueError(f'"{OWN_KEY}" must be an object. Received: {values[OWN_KEY]!r}')
    ours = values.get(OWN_KEY, {}).get("heads")
    if ours is None:
        found = [kind for name in named for kind in table.classes.get(name, ())]
        found += [k for k in table.heads if k not in _AMBIGUOUS and has_head(source, k, table)]
        return list(dict.fromkeys(found))
    if not isinstance(ours, list) or not all(isinstance(head, dict) for head in ours):
        raise ValueError(f'"heads" under "{OWN_KEY}" must be a list of objects. Received: {ours!r}')
    kinds = [head.get("kind") for head in ours]
    for kind in kinds:
        if kind not in table.heads:
            raise ValueError(f"A head must be one of {', '.join(table.heads)}. Received: {kind!r}")
    if named != [architecture_of(kinds, family)]:
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
      kind: a head of the encoder's family.
      config: the encoder's.
      values: config.json.
      dtype: Keras dtype policy.
      num_labels: labels that the tensors hold; counts where config.json gives them no names.

    Raises:
      ValueError: the labels are not numbered 0, 1, 2, ... or are no alternatives of each other.
    """
    options: dict[str, Any] = _own_options(kind, values)
    if kind in _LABELLED:
        options["labels"] = _labels(values, num_labels)
    key = TABLES[config.family].dropout_keys.get(kind)
    if key is not None and values.get(key) is not None:
        options["dropout"] = values[key]
    elif kind == "sop":
        options["dropout"] = 0.1  # AlbertConfig.classifier_dropout_prob, where it is not told
    head = _HEADS[kind]
    if kind == "classification":
        head = _classifier(values.get("problem_type"), options["labels"])
    return head.for_encoder(config, dtype=dtype, **options)


def _classifier(problem: Any, labels: list[str]) -> type[Head]:
    """The head of sequence classification for a problem type, or as transformers guesses it."""
    if problem is None:
        problem = "regression" if len(labels) == 1 else ClassificationHead.problem_type
    if problem not in _BY_PROBLEM:
        raise ValueError(
            f"`problem_type` must be one of {', '.join(_BY_PROBLEM)}. Received: {problem!r}"
        )
    return _BY_PROBLEM[problem]


def _own_options(kind: str, values: Mapping[str, Any]) -> dict[str, Any]:
    """What "keras_bert_suite" keeps of a head that Hugging Face has no keys for."""
    names = _HEADS[kind].own_options
    stored = [h for h in values.get(OWN_KEY, {}).get("heads", ()) if h.get("kind") == kind]
    if not names:
        return {}
    missing = [name for name in names if not stored or name not in stored[0]]
    if missing:
        raise ValueError(
            f'The head {kind!r} must be described by "heads" under "{OWN_KEY}". Missing: '
            f"{', '.join(missing)}"
        )
    return {name: stored[0][name] for name in names}


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
    check_heads(config.family, heads)
    if all(kind in heads for kind in _LABELLED):
        raise ValueError(
            f"A model directory holds one of the heads {', '.join(_LABELLED)}, since config.json "
            "has one list of labels. Received: both"
        )
    table = TABLES[config.family]
    architecture = architecture_of(heads, config.family)
    values = {"architectures": [architecture], **config.to_huggingface(), "dtype": dtype}
    for kind, head in heads.items():
        if kind in _LABELLED:
            values["id2label"] = {str(index): label for index, label in enumerate(head.labels)}
            values["label2id"] = {label: index for index, label in enumerate(head.labels)}
        if kind in table.dropout_keys:
            values[table.dropout_keys[kind]] = head.dropout_rate
        if kind == "classification":
            values["problem_type"] = head.problem_type
    values[OWN_KEY] = {
        "heads": [
            {"kind": kind, **{name: getattr(head, name) for name in head.own_options}}
            for kind, head in heads.items()
        ]
    }
    for kind, head in heads.items():
        wanted, stored = head.get_config(), make_head(kind, config, values).get_config()
        aside = (*_NOT_STORED, *head.task_options)
        changed = [k for k in wanted if k not in aside and wanted[k] != stored.get(k)]
        if changed:
            raise ValueError(
                f"The head {kind!r} must agree with its encoder to be saved. Received: "
                + ", ".join(f"{k}={wanted[k]!r} (encoder: {stored.get(k)!r})" for k in changed)
            )
    return values
