"""The names in Google's checkpoints: google-research/bert (TF1) and the Model Garden (TF2).

Sources: google-research/bert `modeling.py`, `run_pretraining.py`, `run_classifier.py`,
`run_squad.py`; for the Model Garden the object-graph keys in transformers'
convert_bert_original_tf2_checkpoint_to_pytorch.py and in the conversion scripts of KerasNLP's
presets. The Model Garden's heads are not read: their keys differ from release to release.
"""

from __future__ import annotations

import re
from collections.abc import Collection
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


_TF1_LAYER = "bert/encoder/layer_{layer}"
TF1_RULES = (
    *(
        ForeignRule(f"bert/embeddings/{name}", f"bert.embeddings.{name}.weight")
        for name in ("word_embeddings", "position_embeddings", "token_type_embeddings")
    ),
    *_norm("bert/embeddings/LayerNorm", "bert.embeddings.LayerNorm"),
    *_dense(f"{_TF1_LAYER}/attention/self/query", f"{_LAYER}.attention.self.query"),
    *_dense(f"{_TF1_LAYER}/attention/self/key", f"{_LAYER}.attention.self.key"),
    *_dense(f"{_TF1_LAYER}/attention/self/value", f"{_LAYER}.attention.self.value"),
    *_dense(f"{_TF1_LAYER}/attention/output/dense", f"{_LAYER}.attention.output.dense"),
    *_norm(f"{_TF1_LAYER}/attention/output/LayerNorm", f"{_LAYER}.attention.output.LayerNorm"),
    *_dense(f"{_TF1_LAYER}/intermediate/dense", f"{_LAYER}.intermediate.dense"),
    *_dense(f"{_TF1_LAYER}/output/dense", f"{_LAYER}.output.dense"),
    *_norm(f"{_TF1_LAYER}/output/LayerNorm", f"{_LAYER}.output.LayerNorm"),
    *_dense("bert/pooler/dense", "bert.pooler.dense"),
    *_dense("cls/predictions/transform/dense", "cls.predictions.transform.dense"),
    *_norm("cls/predictions/transform/LayerNorm", "cls.predictions.transform.LayerNorm"),
    ForeignRule("cls/predictions/output_bias", "cls.predictions.bias"),
    # These kernels are [outputs, inputs] there too: the code transposes them in the product.
    ForeignRule("cls/seq_relationship/output_weights", "cls.seq_relationship.weight"),
    ForeignRule("cls/seq_relationship/output_bias", "cls.seq_relationship.bias"),
    ForeignRule("output_weights", "classifier.weight"),
    ForeignRule("output_bias", "classifier.bias"),
    ForeignRule("cls/squad/output_weights", "qa_outputs.weight"),
    ForeignRule("cls/squad/output_bias", "qa_outputs.bias"),
)
_TF1_SLOT = re.compile(r"/(adam_m|adam_v|Adam|Adam_1|lamb_m|lamb_v|AdamWeightDecayOptimizer(_1)?)$")
_TF1_COUNTERS = re.compile(r"(global_step|beta[12]_power|.*/loss_scale.*|.*good_steps)$")
# Trained models by their root variables; transformers' class of the same head.
_TF1_ARCHITECTURES = {
    "output_weights": "BertForSequenceClassification",
    "cls/squad/output_weights": "BertForQuestionAnswering",
}


def is_tf1_state(name: str) -> bool:
    """Returns whether a variable belongs to the optimizer or counts steps."""
    return bool(_TF1_SLOT.search(name) or _TF1_COUNTERS.match(name))


def tf1_architectures(names: Collection[str]) -> list[str]:
    """Returns the architectures that config.json would name."""
    return [a for name, a in _TF1_ARCHITECTURES.items() if name in names]


def tf1_unknown(name: str) -> str:
    """Returns the name that a variable without a rule is reported under."""
    return name.replace("/", ".")


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
    """Returns bert_config.json under Hugging Face's keys.

    Google's `gelu` is the tanh form, which Hugging Face calls `gelu_new`; epsilon is 1e-12.
    """
    gelu = values.get("hidden_act") == "gelu"
    act = {"hidden_act": "gelu_new"} if gelu else {}
    return {"model_type": "bert", "layer_norm_eps": 1e-12, **values, **act}
