"""The names in Google's checkpoints: google-research/bert, albert and electra (TF1), Model Garden.

Sources: google-research/bert `modeling.py`, `run_pretraining.py`, `run_classifier.py`,
`run_squad.py`; the files of the same names in google-research/albert; google-research/electra
`model/modeling.py`, `run_pretraining.py`; for the Model Garden the object-graph keys in
transformers' convert_bert_original_tf2_checkpoint_to_pytorch.py and in the conversion scripts of
KerasNLP's presets. The Model Garden's heads are not read: their keys differ from release to
release.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from typing import Any

from keras_bert_suite.checkpoints.foreign_names import (
    HEADS_BIAS,
    HEADS_KERNEL,
    KERNEL,
    OUTPUT_KERNEL,
    SAME,
    ForeignRule,
    Layout,
)
from keras_bert_suite.families import family_of

_LAYER = "bert.encoder.layer.{layer}"


def _dense(theirs: str, huggingface: str) -> tuple[ForeignRule, ...]:
    return (
        ForeignRule(f"{theirs}/kernel", f"{huggingface}.weight", KERNEL),
        ForeignRule(f"{theirs}/bias", f"{huggingface}.bias"),
    )


def _norm(theirs: str, huggingface: str) -> tuple[ForeignRule, ...]:
    return (
        ForeignRule(f"{theirs}/gamma", f"{huggingface}.weight"),
        ForeignRule(f"{theirs}/beta", f"{huggingface}.bias"),
    )


def _tf1_encoder(theirs: str, huggingface: str) -> tuple[ForeignRule, ...]:
    """Embeddings and layers as google-research/bert names them, and ELECTRA after it."""
    layer, hf_layer = f"{theirs}/encoder/layer_{{layer}}", f"{huggingface}.encoder.layer.{{layer}}"
    return (
        *_tf1_embeddings(theirs, huggingface),
        *_dense(f"{layer}/attention/self/query", f"{hf_layer}.attention.self.query"),
        *_dense(f"{layer}/attention/self/key", f"{hf_layer}.attention.self.key"),
        *_dense(f"{layer}/attention/self/value", f"{hf_layer}.attention.self.value"),
        *_dense(f"{layer}/attention/output/dense", f"{hf_layer}.attention.output.dense"),
        *_norm(f"{layer}/attention/output/LayerNorm", f"{hf_layer}.attention.output.LayerNorm"),
        *_dense(f"{layer}/intermediate/dense", f"{hf_layer}.intermediate.dense"),
        *_dense(f"{layer}/output/dense", f"{hf_layer}.output.dense"),
        *_norm(f"{layer}/output/LayerNorm", f"{hf_layer}.output.LayerNorm"),
    )


def _tf1_embeddings(theirs: str, huggingface: str) -> tuple[ForeignRule, ...]:
    names = ("word_embeddings", "position_embeddings", "token_type_embeddings")
    tables = ((f"{theirs}/embeddings/{n}", f"{huggingface}.embeddings.{n}.weight") for n in names)
    norm = _norm(f"{theirs}/embeddings/LayerNorm", f"{huggingface}.embeddings.LayerNorm")
    return (*(ForeignRule(*names) for names in tables), *norm)


def _tf1_heads(mlm: str, pairs: str) -> tuple[ForeignRule, ...]:
    """The heads of BERT and ALBERT; what Hugging Face calls the parts of the MLM head, and pairs.

    Their kernels are [outputs, inputs] there too: the code transposes them in the product.
    """
    transform = "transform." if mlm.startswith("cls") else ""
    return (
        *_dense("cls/predictions/transform/dense", f"{mlm}.{transform}dense"),
        *_norm("cls/predictions/transform/LayerNorm", f"{mlm}.{transform}LayerNorm"),
        ForeignRule("cls/predictions/output_bias", f"{mlm}.bias"),
        ForeignRule("cls/seq_relationship/output_weights", f"{pairs}.weight"),
        ForeignRule("cls/seq_relationship/output_bias", f"{pairs}.bias"),
        ForeignRule("output_weights", "classifier.weight"),
        ForeignRule("output_bias", "classifier.bias"),
        ForeignRule("cls/squad/output_weights", "qa_outputs.weight"),
        ForeignRule("cls/squad/output_bias", "qa_outputs.bias"),
    )


_GROUP = "bert/encoder/transformer/group_0/inner_group_0"
_MAPPING = "embedding_hidden_mapping_in"
_SHARED = "albert.encoder.albert_layer_groups.0.albert_layers.0"
# Family -> rules.
TF1_RULES = {
    "bert": (
        *_tf1_encoder("bert", "bert"),
        *_dense("bert/pooler/dense", "bert.pooler.dense"),
        *_tf1_heads("cls.predictions", "cls.seq_relationship"),
    ),
    "albert": (
        *_tf1_embeddings("bert", "albert"),
        *_dense(
            "bert/encoder/embedding_hidden_mapping_in", "albert.encoder.embedding_hidden_mapping_in"
        ),
        *_dense(f"{_GROUP}/attention_1/self/query", f"{_SHARED}.attention.query"),
        *_dense(f"{_GROUP}/attention_1/self/key", f"{_SHARED}.attention.key"),
        *_dense(f"{_GROUP}/attention_1/self/value", f"{_SHARED}.attention.value"),
        *_dense(f"{_GROUP}/attention_1/output/dense", f"{_SHARED}.attention.dense"),
        *_norm(f"{_GROUP}/LayerNorm", f"{_SHARED}.attention.LayerNorm"),
        *_dense(f"{_GROUP}/ffn_1/intermediate/dense", f"{_SHARED}.ffn"),
        *_dense(f"{_GROUP}/ffn_1/intermediate/output/dense", f"{_SHARED}.ffn_output"),
        *_norm(f"{_GROUP}/LayerNorm_1", f"{_SHARED}.full_layer_layer_norm"),
        *_dense("bert/pooler/dense", "albert.pooler"),
        *_tf1_heads("predictions", "sop_classifier.classifier"),
    ),
    "electra": (
        *_tf1_encoder("electra", "electra"),
        *_dense("electra/embeddings_project", "electra.embeddings_project"),
        *_dense("discriminator_predictions/dense", "discriminator_predictions.dense"),
        *_dense("discriminator_predictions/dense_1", "discriminator_predictions.dense_prediction"),
    ),
}
_TF1_SLOT = re.compile(r"/(adam_m|adam_v|Adam|Adam_1|lamb_m|lamb_v|AdamWeightDecayOptimizer(_1)?)$")
_TF1_COUNTERS = re.compile(r"(global_step|beta[12]_power|.*/loss_scale.*|.*good_steps)$")
# ELECTRA's generator is another model, in the same file.
_GENERATOR = ("generator/", "generator_predictions/")
# Trained models by their root variables; the ending of transformers' class of the same head.
_TF1_ARCHITECTURES = {
    "output_weights": "ForSequenceClassification",
    "cls/squad/output_weights": "ForQuestionAnswering",
}
_ELECTRA_HEAD = 64
_STEMS = {"bert": "Bert", "albert": "Albert", "electra": "Electra"}
# The variables' first part, where it is not the family's own name.
_TF1_ROOTS = {"albert": "bert."}


def is_tf1_state(name: str) -> bool:
    """Returns whether a variable belongs to the optimizer, a step counter or the generator."""
    state = _TF1_SLOT.search(name) or _TF1_COUNTERS.match(name)
    return bool(state) or name.startswith(_GENERATOR)


def tf1_architectures(names: Collection[str], family: str) -> list[str]:
    """Returns the architectures that config.json would name."""
    if family not in _STEMS:
        return []
    return [_STEMS[family] + end for name, end in _TF1_ARCHITECTURES.items() if name in names]


def tf1_unknown(name: str, family: str) -> str:
    """Returns the name that a variable without a rule is reported under."""
    name, root = name.replace("/", "."), _TF1_ROOTS.get(family)
    return f"{family}.{name.removeprefix(root)}" if root and name.startswith(root) else name


def electra_config(shapes: Mapping[str, tuple[int, ...]]) -> dict[str, Any] | None:
    """Returns the config of an ELECTRA, which Google stores without one; None if it is none.

    Its code (`configure_pretraining.py`, `modeling.py`) gives every size heads of 64 and the tanh
    form of GELU.

    Args:
      shapes: variable -> shape.
    """
    stem = "electra/embeddings/{}_embeddings"
    tables = [shapes.get(stem.format(name), ()) for name in ("word", "position", "token_type")]
    dense = shapes.get("electra/encoder/layer_0/intermediate/dense/kernel", ())
    if any(len(shape) != 2 for shape in (*tables, dense)):
        return None
    (vocab_size, width), (positions, _), (segments, _) = tables
    layers = {name.split("/")[2] for name in shapes if name.startswith("electra/encoder/layer_")}
    return {
        "model_type": "electra",
        "vocab_size": vocab_size,
        "embedding_size": width,
        "hidden_size": dense[0],
        "num_hidden_layers": len(layers),
        "num_attention_heads": max(dense[0] // _ELECTRA_HEAD, 1),
        "intermediate_size": dense[1],
        "max_position_embeddings": positions,
        "type_vocab_size": segments,
        "hidden_act": "gelu_new",
        "layer_norm_eps": 1e-12,
    }


_VALUE = "/.ATTRIBUTES/VARIABLE_VALUE"
_TF2_LAYER = "layer_with_weights-{layer_from_4}"


def _tf2(theirs: str, huggingface: str, *kinds: str, kernel: Layout = KERNEL, bias: Layout = SAME):
    names = {"kernel": ("weight", kernel), "bias": ("bias", bias), "embeddings": ("weight", SAME)}
    names |= {"gamma": ("weight", SAME), "beta": ("bias", SAME)}
    return tuple(
        ForeignRule(f"{theirs}/{kind}", f"{huggingface}.{names[kind][0]}", names[kind][1])
        for kind in kinds or ("kernel", "bias")
    )


_SELF = f"{_LAYER}.attention.self"
_SPLIT = {"kernel": HEADS_KERNEL, "bias": HEADS_BIAS}
_NORM = ("gamma", "beta")
# After the root ("encoder/" or "model/") has been cut off, and "/.ATTRIBUTES/VARIABLE_VALUE".
_TF2_RULES = (
    *_tf2("layer_with_weights-0", "bert.embeddings.word_embeddings", "embeddings"),
    *_tf2("layer_with_weights-1", "bert.embeddings.position_embeddings", "embeddings"),
    *_tf2("layer_with_weights-2", "bert.embeddings.token_type_embeddings", "embeddings"),
    *_tf2("layer_with_weights-3", "bert.embeddings.LayerNorm", *_NORM),
    *_tf2(f"{_TF2_LAYER}/_attention_layer/_query_dense", f"{_SELF}.query", **_SPLIT),
    *_tf2(f"{_TF2_LAYER}/_attention_layer/_key_dense", f"{_SELF}.key", **_SPLIT),
    *_tf2(f"{_TF2_LAYER}/_attention_layer/_value_dense", f"{_SELF}.value", **_SPLIT),
    *_tf2(
        f"{_TF2_LAYER}/_attention_layer/_output_dense",
        f"{_LAYER}.attention.output.dense",
        kernel=OUTPUT_KERNEL,
    ),
    # Older releases: another place for the same kernel.
    *_tf2(
        f"{_TF2_LAYER}/_attention_output_dense",
        f"{_LAYER}.attention.output.dense",
        kernel=OUTPUT_KERNEL,
    ),
    *_tf2(f"{_TF2_LAYER}/_attention_layer_norm", f"{_LAYER}.attention.output.LayerNorm", *_NORM),
    *_tf2(f"{_TF2_LAYER}/_intermediate_dense", f"{_LAYER}.intermediate.dense"),
    *_tf2(f"{_TF2_LAYER}/_output_dense", f"{_LAYER}.output.dense"),
    *_tf2(f"{_TF2_LAYER}/_output_layer_norm", f"{_LAYER}.output.LayerNorm", *_NORM),
)
_TF2_ROOTS = ("encoder/", "model/", "")
_TF2_POOLER = "next_sentence..pooler_dense"


def is_tf2(names: Collection[str]) -> bool:
    """Returns whether these are the keys of an object graph (TF2), not names of variables (TF1)."""
    return any(name.endswith(_VALUE) for name in names)


def tf2_rules(num_layers: int) -> list[ForeignRule]:
    """Returns the rules of the encoder and its pooler, not yet expanded, under every root."""
    pooler = f"layer_with_weights-{num_layers + 4}"
    rules = [*_TF2_RULES, *_tf2(pooler, "bert.pooler.dense")]
    places = [(root + rule.theirs, rule) for root in _TF2_ROOTS for rule in rules]
    places += [(rule.theirs, rule) for rule in _tf2(_TF2_POOLER, "bert.pooler.dense")]
    return [ForeignRule(name + _VALUE, rule.huggingface, rule.layout) for name, rule in places]


def is_tf2_state(name: str) -> bool:
    """Returns whether a key belongs to the optimizer, the object graph or a head."""
    inside = name.startswith(("encoder/", "model/", "layer_with_weights", _TF2_POOLER))
    return not inside or "/.OPTIMIZER_SLOT/" in name


def tf2_heads(names: Collection[str]) -> list[str]:
    """Returns the roots of what stands beside the encoder and is no state of training."""
    roots = {name.split("/")[0] for name in names if name.endswith(_VALUE) and is_tf2_state(name)}
    return sorted(roots - {"optimizer", "save_counter", "global_step", "encoder", "model"})


def tf2_unknown(name: str) -> str:
    """Returns the name that a key of the encoder without a rule is reported under."""
    return "bert." + name.removesuffix(_VALUE).replace("/", ".")


def to_huggingface_config(values: dict[str, Any]) -> dict[str, Any]:
    """Returns bert_config.json or albert_config.json under Hugging Face's keys.

    Google's `gelu` is the tanh form, which Hugging Face calls `gelu_new`; epsilon is 1e-12.
    """
    act = {"hidden_act": "gelu_new"} if values.get("hidden_act") == "gelu" else {}
    return {"model_type": family_of(values), "layer_norm_eps": 1e-12, **values, **act}
