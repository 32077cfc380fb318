"""The names under which Hugging Face stores each family of encoders: one table a family.

Read in both directions by huggingface.py. Source: the tensors that transformers 5 writes
(`BertForPreTraining`, `RobertaForMaskedLM`, `AlbertForPreTraining`, ...).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

from keras_bert_suite.checkpoints.own_heads import OWN_HEADS
from keras_bert_suite.checkpoints.rename import Rule, dense, norm

_WORDS = "embeddings.word_embeddings.weight"
_TOKENS = "encoder.embeddings.token_embeddings"
_POSITIONS = "encoder.embeddings.position_embeddings"
_SEGMENTS = "encoder.embeddings.segment_embeddings"
_PROJECTION = "encoder.embeddings.projection"
_BLOCK = "encoder.blocks.{layer}"
_BERT_INTERMEDIATE = ("intermediate_size", "encoder.layer.0.intermediate.dense.weight")


@dataclasses.dataclass(frozen=True)
class FamilyTable:
    """What Hugging Face calls the tensors, the classes and the dropouts of one family.

    Attributes:
      prefix: of the encoder's tensors, wherever there is a head.
      encoder: rules of the embeddings and the blocks.
      heads: kind -> rules; the last is the bias of the logits. Rules of a "projection" are for an
        encoder with an `embedding_size`.
      ties: tensors that repeat another, which a file may store too: name -> the other.
      classes: name of transformers' class -> kinds of its heads.
      sizes: (config.json's key, tensor, axis) that must agree.
      layers: the stem before the number of a layer; None where all layers are one.
      projection: rules for an encoder with an `embedding_size`.
      pooler: rules of the pooler, which a file may lack.
      dropout_keys: kind -> key of config.json for the head's dropout.
    """

    prefix: str
    encoder: tuple[Rule, ...]
    heads: Mapping[str, tuple[Rule, ...]]
    ties: Mapping[str, str]
    classes: Mapping[str, tuple[str, ...]]
    sizes: tuple[tuple[str, str, int], ...]
    layers: str | None
    projection: tuple[Rule, ...] = ()
    pooler: tuple[Rule, ...] = ()
    dropout_keys: Mapping[str, str] = dataclasses.field(
        default_factory=lambda: dict.fromkeys(("classification", "labeling"), "classifier_dropout")
    )


def _embeddings(prefix: str, *, segments: bool = True) -> tuple[Rule, ...]:
    stem = f"{prefix}embeddings"
    tables = [(_TOKENS, "word_embeddings"), (_POSITIONS, "position_embeddings")]
    tables += [(_SEGMENTS, "token_type_embeddings")] if segments else []
    return (
        *(Rule(f"{ours}.embeddings", (f"{stem}.{theirs}.weight",)) for ours, theirs in tables),
        *norm("encoder.embeddings.layer_norm", f"{stem}.LayerNorm"),
    )


def _bert_blocks(prefix: str) -> tuple[Rule, ...]:
    theirs = f"{prefix}encoder.layer.{{layer}}"
    parts = (f"{theirs}.attention.self.{part}" for part in ("query", "key", "value"))
    return (
        *dense(f"{_BLOCK}.attention.query_key_value", *parts),
        *dense(f"{_BLOCK}.attention.output_dense", f"{theirs}.attention.output.dense"),
        *norm(f"{_BLOCK}.attention_norm", f"{theirs}.attention.output.LayerNorm"),
        *dense(f"{_BLOCK}.feed_forward.intermediate", f"{theirs}.intermediate.dense"),
        *dense(f"{_BLOCK}.feed_forward.output_dense", f"{theirs}.output.dense"),
        *norm(f"{_BLOCK}.feed_forward_norm", f"{theirs}.output.LayerNorm"),
    )


def _distilbert_blocks(prefix: str) -> tuple[Rule, ...]:
    theirs = f"{prefix}transformer.layer.{{layer}}"
    parts = (f"{theirs}.attention.{part}_lin" for part in ("q", "k", "v"))
    return (
        *dense(f"{_BLOCK}.attention.query_key_value", *parts),
        *dense(f"{_BLOCK}.attention.output_dense", f"{theirs}.attention.out_lin"),
        *norm(f"{_BLOCK}.attention_norm", f"{theirs}.sa_layer_norm"),
        *dense(f"{_BLOCK}.feed_forward.intermediate", f"{theirs}.ffn.lin1"),
        *dense(f"{_BLOCK}.feed_forward.output_dense", f"{theirs}.ffn.lin2"),
        *norm(f"{_BLOCK}.feed_forward_norm", f"{theirs}.output_layer_norm"),
    )


def _albert_block(prefix: str) -> tuple[Rule, ...]:
    ours, theirs = _BLOCK.format(layer=0), f"{prefix}encoder.albert_layer_groups.0.albert_layers.0"
    parts = (f"{theirs}.attention.{part}" for part in ("query", "key", "value"))
    return (
        *dense(f"{ours}.attention.query_key_value", *parts),
        *dense(f"{ours}.attention.output_dense", f"{theirs}.attention.dense"),
        *norm(f"{ours}.attention_norm", f"{theirs}.attention.LayerNorm"),
        *dense(f"{ours}.feed_forward.intermediate", f"{theirs}.ffn"),
        *dense(f"{ours}.feed_forward.output_dense", f"{theirs}.ffn_output"),
        *norm(f"{ours}.feed_forward_norm", f"{theirs}.full_layer_layer_norm"),
    )


def _mlm(dense_name: str, norm_name: str, bias: str) -> tuple[Rule, ...]:
    return (
        *dense("mlm.transform", dense_name),
        *norm("mlm.layer_norm", norm_name),
        Rule("mlm.bias", (bias,)),
    )


def _classifiers(
    hidden: str | None = None, last: str = "classifier", *, choice_hidden: str | None = None
) -> dict[str, tuple]:
    """The heads that all families have; the hidden layers of two of them by name, if any."""
    before = dense("classification.hidden", hidden) if hidden else ()
    return {
        "classification": (*before, *dense("classification.classifier", last)),
        "labeling": dense("labeling.classifier", "classifier"),
        "multiple_choice": (
            *(dense("multiple_choice.hidden", choice_hidden) if choice_hidden else ()),
            *dense("multiple_choice.classifier", "classifier"),
        ),
        "qa": dense("qa.classifier", "qa_outputs"),
    }


def _classes(stem: str, **more: tuple[str, ...]) -> dict[str, tuple[str, ...]]:
    """Name of transformers' class -> kinds of its heads; `more` by the ending of the name."""
    kinds = {
        "Model": (),
        **more,
        "ForMaskedLM": ("mlm",),
        "ForSequenceClassification": ("classification",),
        "ForTokenClassification": ("labeling",),
        "ForMultipleChoice": ("multiple_choice",),
        "ForQuestionAnswering": ("qa",),
    }
    return {stem + ending: heads for ending, heads in kinds.items()}


def _sizes(
    prefix: str,
    *,
    width: str = "hidden_size",
    segments: bool = True,
    intermediate: tuple[str, str] = _BERT_INTERMEDIATE,
) -> tuple[tuple[str, str, int], ...]:
    """The sizes by which config.json and the tensors know each other."""
    stem = f"{prefix}embeddings"
    token_types = ("type_vocab_size", f"{stem}.token_type_embeddings.weight", 0)
    hidden = ("hidden_size", f"{prefix}{intermediate[1]}", 1)
    return (
        ("vocab_size", f"{prefix}{_WORDS}", 0),
        (width, f"{prefix}{_WORDS}", 1),
        ("max_position_embeddings", f"{stem}.position_embeddings.weight", 0),
        *((token_types,) if segments else ()),
        (intermediate[0], f"{prefix}{intermediate[1]}", 0),
        *((hidden,) if width == "embedding_size" else ()),
    )


_BERT = FamilyTable(
    prefix="bert.",
    encoder=(*_embeddings("bert."), *_bert_blocks("bert.")),
    pooler=dense("encoder.pooler", "bert.pooler.dense"),
    heads={
        "mlm": _mlm(
            "cls.predictions.transform.dense",
            "cls.predictions.transform.LayerNorm",
            "cls.predictions.bias",
        ),
        "nsp": dense("nsp.classifier", "cls.seq_relationship"),
        **_classifiers(),
    },
    ties={
        "cls.predictions.decoder.weight": f"bert.{_WORDS}",
        "cls.predictions.decoder.bias": "cls.predictions.bias",
    },
    classes=_classes("Bert", ForPreTraining=("mlm", "nsp"), ForNextSentencePrediction=("nsp",)),
    sizes=_sizes("bert."),
    layers="bert.encoder.layer.",
)

_ROBERTA = FamilyTable(
    prefix="roberta.",
    encoder=(*_embeddings("roberta."), *_bert_blocks("roberta.")),
    pooler=dense("encoder.pooler", "roberta.pooler.dense"),
    heads={
        "mlm": _mlm("lm_head.dense", "lm_head.layer_norm", "lm_head.bias"),
        **_classifiers("classifier.dense", "classifier.out_proj"),
    },
    ties={
        "lm_head.decoder.weight": f"roberta.{_WORDS}",
        "lm_head.decoder.bias": "lm_head.bias",
    },
    classes=_classes("Roberta"),
    sizes=_sizes("roberta."),
    layers="roberta.encoder.layer.",
)

_ALBERT = FamilyTable(
    prefix="albert.",
    encoder=(*_embeddings("albert."), *_albert_block("albert.")),
    projection=dense(_PROJECTION, "albert.encoder.embedding_hidden_mapping_in"),
    pooler=dense("encoder.pooler", "albert.pooler"),
    heads={
        "mlm": _mlm("predictions.dense", "predictions.LayerNorm", "predictions.bias"),
        "sop": dense("sop.classifier", "sop_classifier.classifier"),
        **_classifiers(),
    },
    ties={
        "predictions.decoder.weight": f"albert.{_WORDS}",
        "predictions.decoder.bias": "predictions.bias",
    },
    classes=_classes("Albert", ForPreTraining=("mlm", "sop")),
    dropout_keys=dict.fromkeys(("classification", "labeling", "sop"), "classifier_dropout_prob"),
    sizes=_sizes(
        "albert.",
        width="embedding_size",
        intermediate=(
            "intermediate_size",
            "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight",
        ),
    ),
    layers=None,
)

_DISTILBERT = FamilyTable(
    prefix="distilbert.",
    encoder=(*_embeddings("distilbert.", segments=False), *_distilbert_blocks("distilbert.")),
    heads={
        "mlm": _mlm("vocab_transform", "vocab_layer_norm", "vocab_projector.bias"),
        **_classifiers("pre_classifier", choice_hidden="pre_classifier"),
    },
    ties={"vocab_projector.weight": f"distilbert.{_WORDS}"},
    classes=_classes("DistilBert"),
    dropout_keys={"classification": "seq_classif_dropout", "qa": "qa_dropout"},
    sizes=_sizes(
        "distilbert.",
        width="dim",
        segments=False,
        intermediate=("hidden_dim", "transformer.layer.0.ffn.lin1.weight"),
    ),
    layers="distilbert.transformer.layer.",
)

_ELECTRA = FamilyTable(
    prefix="electra.",
    encoder=(*_embeddings("electra."), *_bert_blocks("electra.")),
    projection=dense(_PROJECTION, "electra.embeddings_project"),
    heads={
        "mlm": _mlm(
            "generator_predictions.dense",
            "generator_predictions.LayerNorm",
            "generator_lm_head.bias",
        ),
        "rtd": (
            *dense("rtd.hidden", "discriminator_predictions.dense"),
            *dense("rtd.classifier", "discriminator_predictions.dense_prediction"),
        ),
        **_classifiers(
            "classifier.dense", "classifier.out_proj", choice_hidden="sequence_summary.summary"
        ),
    },
    ties={"generator_lm_head.weight": f"electra.{_WORDS}"},
    classes=_classes("Electra", ForPreTraining=("rtd",)),
    sizes=_sizes("electra.", width="embedding_size"),
    layers="electra.encoder.layer.",
)

TABLES = {
    # Our names come last, and only for kinds that the family has no names for.
    name: dataclasses.replace(table, heads={**table.heads, **OWN_HEADS, **table.heads})
    for name, table in {
        "bert": _BERT,
        "roberta": _ROBERTA,
        "albert": _ALBERT,
        "distilbert": _DISTILBERT,
        "electra": _ELECTRA,
    }.items()
}
