"""What KerasHub calls the arguments and the weights of its encoders: one table a backbone.

RoBERTa's is not among them: its backbone has neither the row of segment embeddings nor the unused
rows of positions that every RoBERTa of Hugging Face has. Source: keras_hub 0.32, models/bert/,
models/albert/, models/distil_bert/, models/electra/; the paths are those that it writes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
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

EPSILON = 1e-12  # of every LayerNorm in these backbones


@dataclasses.dataclass(frozen=True)
class Backbone:
    """One backbone.

    Attributes:
      family: Hugging Face's model_type.
      architecture: transformers' class of the encoder alone.
      config_keys: KerasHub's argument -> Hugging Face's key.
      fixed: what it computes whatever its arguments are, under Hugging Face's keys.
      attention_dropout: Hugging Face's key for the rate that KerasHub has as `dropout` too.
      rules: of its weights.
      has_pooler: False where KerasHub has one (its last dense layer) and the family has none.
    """

    family: str
    architecture: str
    config_keys: Mapping[str, str]
    fixed: Mapping[str, Any]
    attention_dropout: str
    rules: tuple[ForeignRule, ...]
    has_pooler: bool = True


def weights(
    theirs: str, huggingface: str, *layouts: Layout, path: str = "layers/"
) -> tuple[ForeignRule, ...]:
    """The rules of a layer's variables 0 and 1, at Hugging Face "weight" and "bias"."""
    return tuple(
        ForeignRule(f"{path}{theirs}/vars/{index}", f"{huggingface}.{name}", layout)
        for index, (name, layout) in enumerate(zip(("weight", "bias"), layouts, strict=False))
    )


def _layer(theirs: str, huggingface: str, names: Mapping[str, str]) -> tuple[ForeignRule, ...]:
    """The rules of a TransformerEncoder; `names` are Hugging Face's of its eight parts."""
    hf = {part: f"{huggingface}.{name}" for part, name in names.items()}
    split = (HEADS_KERNEL, HEADS_BIAS)
    return (
        *weights(f"{theirs}/_self_attention_layer/query_dense", hf["query"], *split),
        *weights(f"{theirs}/_self_attention_layer/key_dense", hf["key"], *split),
        *weights(f"{theirs}/_self_attention_layer/value_dense", hf["value"], *split),
        *weights(f"{theirs}/_self_attention_layer/output_dense", hf["output"], OUTPUT_KERNEL, SAME),
        *weights(f"{theirs}/_self_attention_layer_norm", hf["attention_norm"], SAME, SAME),
        *weights(f"{theirs}/_feedforward_intermediate_dense", hf["intermediate"], KERNEL, SAME),
        *weights(f"{theirs}/_feedforward_output_dense", hf["feed_forward"], KERNEL, SAME),
        *weights(f"{theirs}/_feedforward_layer_norm", hf["feed_forward_norm"], SAME, SAME),
    )


def _embeddings(huggingface: str) -> tuple[ForeignRule, ...]:
    stem = f"{huggingface}.embeddings"
    return (
        *weights("reversible_embedding", f"{stem}.word_embeddings", SAME),
        *weights("position_embedding", f"{stem}.position_embeddings", SAME),
        *weights("embedding", f"{stem}.token_type_embeddings", SAME),
        *weights("layer_normalization", f"{stem}.LayerNorm", SAME, SAME),
    )


_BERT_PARTS = {
    "query": "attention.self.query",
    "key": "attention.self.key",
    "value": "attention.self.value",
    "output": "attention.output.dense",
    "attention_norm": "attention.output.LayerNorm",
    "intermediate": "intermediate.dense",
    "feed_forward": "output.dense",
    "feed_forward_norm": "output.LayerNorm",
}
_ALBERT_PARTS = {
    "query": "attention.query",
    "key": "attention.key",
    "value": "attention.value",
    "output": "attention.dense",
    "attention_norm": "attention.LayerNorm",
    "intermediate": "ffn",
    "feed_forward": "ffn_output",
    "feed_forward_norm": "full_layer_layer_norm",
}
_DISTILBERT_PARTS = {
    "query": "attention.q_lin",
    "key": "attention.k_lin",
    "value": "attention.v_lin",
    "output": "attention.out_lin",
    "attention_norm": "sa_layer_norm",
    "intermediate": "ffn.lin1",
    "feed_forward": "ffn.lin2",
    "feed_forward_norm": "output_layer_norm",
}
_LAYER = "transformer_encoder{suffix}"
_ALBERT_LAYER = "albert.encoder.albert_layer_groups.0.albert_layers.0"
_TABLES = "token_and_position_embedding"
_BERT_KEYS = {
    "vocabulary_size": "vocab_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "hidden_dim": "hidden_size",
    "intermediate_dim": "intermediate_size",
    "max_sequence_length": "max_position_embeddings",
    "num_segments": "type_vocab_size",
    "dropout": "hidden_dropout_prob",
}
_GROUPS = {"num_groups": "num_hidden_groups", "num_inner_repetitions": "inner_group_num"}
_ELECTRA_KEYS = {"vocab_size" if k == "vocabulary_size" else k: v for k, v in _BERT_KEYS.items()}
_TANH = {"hidden_act": "gelu_new", "layer_norm_eps": EPSILON}

# KerasHub's registered name -> table.
BACKBONES = {
    "keras_hub>BertBackbone": Backbone(
        family="bert",
        architecture="BertModel",
        config_keys=_BERT_KEYS,
        fixed=_TANH,
        attention_dropout="attention_probs_dropout_prob",
        rules=(
            *_embeddings("bert"),
            *_layer(_LAYER, "bert.encoder.layer.{layer}", _BERT_PARTS),
            *weights("dense", "bert.pooler.dense", KERNEL, SAME),
        ),
    ),
    "keras_hub>AlbertBackbone": Backbone(
        family="albert",
        architecture="AlbertModel",
        config_keys={**_BERT_KEYS, **_GROUPS, "embedding_dim": "embedding_size"},
        fixed=_TANH,
        attention_dropout="attention_probs_dropout_prob",
        rules=(
            *_embeddings("albert"),
            *weights("dense", "albert.encoder.embedding_hidden_mapping_in", KERNEL, SAME),
            *_layer("transformer_encoder", _ALBERT_LAYER, _ALBERT_PARTS),
            *weights("dense_1", "albert.pooler", KERNEL, SAME),
        ),
    ),
    "keras_hub>DistilBertBackbone": Backbone(
        family="distilbert",
        architecture="DistilBertModel",
        config_keys={
            "vocabulary_size": "vocab_size",
            "num_layers": "n_layers",
            "num_heads": "n_heads",
            "hidden_dim": "dim",
            "intermediate_dim": "hidden_dim",
            "max_sequence_length": "max_position_embeddings",
            "dropout": "dropout",
        },
        fixed={"activation": "gelu"},
        attention_dropout="attention_dropout",
        rules=(
            *weights(f"{_TABLES}/token_embedding", "distilbert.embeddings.word_embeddings", SAME),
            *weights(
                f"{_TABLES}/position_embedding", "distilbert.embeddings.position_embeddings", SAME
            ),
            *weights("layer_normalization", "distilbert.embeddings.LayerNorm", SAME, SAME),
            *_layer(_LAYER, "distilbert.transformer.layer.{layer}", _DISTILBERT_PARTS),
        ),
    ),
    "keras_hub>ElectraBackbone": Backbone(
        family="electra",
        architecture="ElectraModel",
        config_keys={**_ELECTRA_KEYS, "embedding_dim": "embedding_size"},
        fixed=_TANH,
        attention_dropout="attention_probs_dropout_prob",
        rules=(
            *_embeddings("electra"),
            *weights("dense", "electra.embeddings_project", KERNEL, SAME),
            *_layer(_LAYER, "electra.encoder.layer.{layer}", _BERT_PARTS),
        ),
        has_pooler=False,
    ),
}
OF_FAMILY = {table.family: table for table in BACKBONES.values()}
CLASSES = {table.family: name.split(">")[1] for name, table in BACKBONES.items()}
