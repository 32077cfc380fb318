"""What tells the families of encoders apart: sizes, defaults and the keys of their config.json.

BERT (SpanBERT included), RoBERTa, ALBERT, DistilBERT and ELECTRA are one encoder; here is what
differs, as data. A family's name is Hugging Face's `model_type`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

# BERT: Turc et al. 2019 (arXiv:1908.08962), table 1, and Devlin et al. 2018, section 3. The others:
# the configurations that their authors published.
# Name -> (family, layers, hidden size, what else differs from the family's defaults).
# Heads are 64 wide, the feed-forward layer is four times the hidden size.
NamedSize = tuple[str, int, int, dict[str, Any]]
NAMED_SIZES: dict[str, NamedSize] = {
    "tiny": ("bert", 2, 128, {}),
    "mini": ("bert", 4, 256, {}),
    "small": ("bert", 4, 512, {}),
    "medium": ("bert", 8, 512, {}),
    "base": ("bert", 12, 768, {}),
    "large": ("bert", 24, 1024, {}),
    "spanbert-base": ("bert", 12, 768, {"vocab_size": 28996}),
    "spanbert-large": ("bert", 24, 1024, {"vocab_size": 28996}),
    "roberta-base": ("roberta", 12, 768, {}),
    "roberta-large": ("roberta", 24, 1024, {}),
    "albert-base-v2": ("albert", 12, 768, {}),
    "albert-large-v2": ("albert", 24, 1024, {}),
    "albert-xlarge-v2": ("albert", 24, 2048, {"num_heads": 16}),
    "albert-xxlarge-v2": ("albert", 12, 4096, {}),
    "distilbert-base": ("distilbert", 6, 768, {}),
    "electra-small": ("electra", 12, 256, {"embedding_size": 128}),
    "electra-base": ("electra", 12, 768, {}),
    "electra-large": ("electra", 24, 1024, {}),
}
HEAD_WIDTH = 64
_SPELLED_OUT = re.compile(r"L-(\d+)_H-(\d+)(?:_A-(\d+))?")

# Family (Hugging Face's `model_type`) -> where its published encoders differ from BERT's defaults.
DEFAULTS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {
        "vocab_size": 50265,
        "use_pooler": False,  # nothing trains it: no sentence pairs in RoBERTa's pre-training
        "num_segments": 1,
        "layer_norm_epsilon": 1e-5,
        "pad_token_id": 1,
    },
    "albert": {
        "vocab_size": 30000,
        "embedding_size": 128,
        "activation": "gelu_tanh",
        "hidden_dropout": 0.0,
        "attention_dropout": 0.0,
    },
    "distilbert": {},
    "electra": {},
}
FAMILIES = tuple(DEFAULTS)
# What a family's encoder computes whatever its config.json says; "electra" may set embedding_size.
FIXED: dict[str, dict[str, Any]] = {
    "bert": {"embedding_size": None, "share_layers": False},
    "roberta": {"embedding_size": None, "share_layers": False},
    "albert": {"share_layers": True},
    "distilbert": {
        "embedding_size": None,
        "share_layers": False,
        "num_segments": 0,
        "use_pooler": False,
        "layer_norm_epsilon": 1e-12,
    },
    "electra": {"share_layers": False, "use_pooler": False},
}
ACTIVATIONS = ("gelu", "gelu_tanh", "relu", "silu")

# Our field -> Hugging Face's key in config.json (transformers 5, BertConfig).
_BERT_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "hidden_size",
    "num_layers": "num_hidden_layers",
    "num_heads": "num_attention_heads",
    "intermediate_size": "intermediate_size",
    "max_positions": "max_position_embeddings",
    "num_segments": "type_vocab_size",
    "activation": "hidden_act",
    "layer_norm_epsilon": "layer_norm_eps",
    "hidden_dropout": "hidden_dropout_prob",
    "attention_dropout": "attention_probs_dropout_prob",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_token_id",
}
# DistilBertConfig; what it has no key for is fixed.
_DISTILBERT_KEYS = {
    "vocab_size": "vocab_size",
    "hidden_size": "dim",
    "num_layers": "n_layers",
    "num_heads": "n_heads",
    "intermediate_size": "hidden_dim",
    "max_positions": "max_position_embeddings",
    "activation": "activation",
    "hidden_dropout": "dropout",
    "attention_dropout": "attention_dropout",
    "initializer_range": "initializer_range",
    "pad_token_id": "pad_token_id",
}
_FACTORISED_KEYS = {**_BERT_KEYS, "embedding_size": "embedding_size"}
HUGGINGFACE_KEYS = {
    "bert": _BERT_KEYS,
    "roberta": _BERT_KEYS,
    "albert": _FACTORISED_KEYS,
    "distilbert": _DISTILBERT_KEYS,
    "electra": _FACTORISED_KEYS,
}
# Windows of attention, in any family: ModernBERT's keys. transformers' other encoders do not know
# them and let every layer see all tokens.
_WINDOW_KEYS = {
    "local_attention": "local_attention",
    "global_attention_every": "global_attn_every_n_layers",
}
# What transformers takes where a config.json lacks the key and our own default is another.
_HUGGINGFACE_DEFAULTS: dict[str, dict[str, Any]] = {
    "bert": {},
    "roberta": {"vocab_size": 50265, "pad_token_id": 1},
    "albert": {
        "vocab_size": 30000,
        "embedding_size": 128,
        "hidden_size": 4096,
        "num_attention_heads": 64,
        "intermediate_size": 16384,
        "hidden_act": "gelu_new",
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
    },
    "distilbert": {"n_layers": 6},
    "electra": {
        "embedding_size": 128,
        "hidden_size": 256,
        "num_attention_heads": 4,
        "intermediate_size": 1024,
    },
}
# Hugging Face's `gelu` is the exact one (erf); Google's TF1 code computes the tanh form under the
# same name.
_ACTIVATION_TO_HUGGINGFACE = {
    "gelu": "gelu",
    "gelu_tanh": "gelu_new",
    "relu": "relu",
    "silu": "silu",
}
_ACTIVATION_FROM_HUGGINGFACE = {
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
# Keys with one value that this encoder computes; an absent one means that value.
_REQUIRED_VALUES = {
    "position_embedding_type": "absolute",
    "num_hidden_groups": 1,
    "inner_group_num": 1,
}


def spelled_out(name: str) -> NamedSize | None:
    """Reads a BERT size that its name spells out, such as L-2_H-256_A-4; None: it does not."""
    match = _SPELLED_OUT.fullmatch(name)
    if match is None:
        return None
    layers, hidden, heads = match.groups()
    return "bert", int(layers), int(hidden), {} if heads is None else {"num_heads": int(heads)}


def position_offset(family: str, pad_token_id: int) -> int:
    """Returns the row of the position table that a row's first token takes.

    RoBERTa's is pad_token_id + 1 (fairseq's `make_positions`); the rows before it are never used.
    """
    return pad_token_id + 1 if family == "roberta" else 0


def family_of(values: Mapping[str, Any]) -> str:
    """Returns the family that a config.json describes.

    Google's own files have no `model_type`: theirs are BERT, and ALBERT where they group layers.

    Raises:
      ValueError: a `model_type` that is none of FAMILIES.
    """
    family = values.get("model_type")
    if family is None:
        return "albert" if "num_hidden_groups" in values else "bert"
    if family not in FAMILIES:
        raise ValueError(f"`model_type` must be one of {', '.join(FAMILIES)}. Received: {family!r}")
    return family


def fields_of(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns our fields of a config.json in Hugging Face's or Google's keys.

    Raises:
      ValueError: an unknown family, or an option of the architecture that is not computed here.
    """
    family = family_of(values)
    for key, wanted in _REQUIRED_VALUES.items():
        if values.get(key) not in (None, wanted):
            raise ValueError(f"`{key}` must be {wanted!r}. Received: {values[key]!r}")
    if values.get("is_decoder") or values.get("add_cross_attention"):
        raise ValueError(
            "A decoder cannot be read as an encoder. Received: is_decoder or add_cross_attention"
        )
    given = {key: value for key, value in values.items() if value is not None}
    given = {**_HUGGINGFACE_DEFAULTS[family], **given}
    keys = {**HUGGINGFACE_KEYS[family], **_WINDOW_KEYS}
    fields = {ours: given[theirs] for ours, theirs in keys.items() if theirs in given}
    if "activation" in fields:
        name = fields["activation"]
        if name not in _ACTIVATION_FROM_HUGGINGFACE:
            raise ValueError(
                f"`{keys['activation']}` must be one of "
                f"{', '.join(_ACTIVATION_FROM_HUGGINGFACE)}. Received: {name!r}"
            )
        fields["activation"] = _ACTIVATION_FROM_HUGGINGFACE[name]
    if family == "electra" and fields["embedding_size"] == fields["hidden_size"]:
        fields["embedding_size"] = None  # transformers projects only where the sizes differ
    offset = position_offset(family, fields.get("pad_token_id", 0))
    if offset:
        fields["max_positions"] = fields.get("max_positions", 512) - offset
    use_pooler = DEFAULTS[family].get("use_pooler", True)  # no key says it: the tensors do
    return {"use_pooler": use_pooler, **FIXED[family], **fields, "family": family}


def huggingface_values(family: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    """Returns the fields of a configuration under Hugging Face's keys; inverse of `fields_of`."""
    keys = HUGGINGFACE_KEYS[family]
    values = {"model_type": family, **{theirs: fields[ours] for ours, theirs in keys.items()}}
    values["max_position_embeddings"] += position_offset(family, fields["pad_token_id"])
    values[keys["activation"]] = _ACTIVATION_TO_HUGGINGFACE[fields["activation"]]
    if family == "electra" and fields["embedding_size"] is None:
        values["embedding_size"] = fields["hidden_size"]
    if family == "albert":
        values.update(num_hidden_groups=1, inner_group_num=1)
    if family == "distilbert":
        values["sinusoidal_pos_embds"] = False  # the table is in the file, however it was made
    else:
        values["position_embedding_type"] = "absolute"
    if fields["local_attention"] is not None:
        values.update({theirs: fields[ours] for ours, theirs in _WINDOW_KEYS.items()})
    return values
