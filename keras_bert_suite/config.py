"""The encoder's configuration: a frozen dataclass, read and written in Hugging Face's keys."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

# Turc et al. 2019 (arXiv:1908.08962), table 1, and Devlin et al. 2018, section 3: (layers, hidden).
# Heads are hidden / 64 wide 64, the feed-forward layer is four times the hidden size.
_NAMED_SIZES = {
    "tiny": (2, 128),
    "mini": (4, 256),
    "small": (4, 512),
    "medium": (8, 512),
    "base": (12, 768),
    "large": (24, 1024),
}
_HEAD_WIDTH = 64

# Our field -> Hugging Face's key in config.json (transformers, BertConfig).
_HUGGINGFACE_KEYS = {
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
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
    "relu": "relu",
    "silu": "silu",
    "swish": "silu",
}
ACTIVATIONS = tuple(_ACTIVATION_TO_HUGGINGFACE)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The shape of a BERT encoder; the defaults are BERT-base's.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 3.

    Raises:
      ValueError: for a size that is not a positive integer, heads that do not divide the hidden
        size, a rate outside [0, 1), an unknown activation.
    """

    vocab_size: int = 30522  # entries of the vocabulary, the special tokens included
    hidden_size: int = 768  # width of the token representations
    num_layers: int = 12  # encoder blocks
    num_heads: int = 12  # attention heads; each is hidden_size / num_heads wide
    intermediate_size: int = 3072  # width of the feed-forward layer
    max_positions: int = 512  # tokens of the longest row, [CLS] and [SEP] included
    num_segments: int = 2  # rows of the segment embedding: sentence A, sentence B
    activation: str = "gelu"  # gelu (erf) | gelu_tanh | relu | silu
    layer_norm_epsilon: float = 1e-12  # Google's BERT
    hidden_dropout: float = 0.1  # probability, after each dense layer and the embeddings
    attention_dropout: float = 0.1  # probability, on the attention weights
    initializer_range: float = 0.02  # standard deviation of the truncated normal
    pad_token_id: int = 0  # id of [PAD]

    def __post_init__(self):
        for name in (
            "vocab_size",
            "hidden_size",
            "num_layers",
            "num_heads",
            "intermediate_size",
            "max_positions",
            "num_segments",
        ):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        if self.hidden_size % self.num_heads:
            raise ValueError(
                "`num_heads` must divide `hidden_size`. Received: "
                f"hidden_size={self.hidden_size}, num_heads={self.num_heads}"
            )
        for name in ("hidden_dropout", "attention_dropout"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not 0 <= value < 1:
                raise ValueError(
                    f"`{name}` must be a probability in [0, 1). Received: {name}={value!r}"
                )
        for name in ("layer_norm_epsilon", "initializer_range"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not value > 0:
                raise ValueError(f"`{name}` must be a positive number. Received: {name}={value!r}")
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"`activation` must be one of {', '.join(ACTIVATIONS)}. "
                f"Received: activation={self.activation!r}"
            )
        if not isinstance(self.pad_token_id, int) or not 0 <= self.pad_token_id < self.vocab_size:
            raise ValueError(
                f"`pad_token_id` must be an id of the vocabulary, in [0, {self.vocab_size}). "
                f"Received: pad_token_id={self.pad_token_id!r}"
            )

    @classmethod
    def from_name(cls, name: str, **overrides: Any) -> EncoderConfig:
        """Returns a named size: tiny, mini, small, medium, base, large (arXiv:1908.08962)."""
        if name not in _NAMED_SIZES:
            raise ValueError(
                f"An encoder's name must be one of {', '.join(_NAMED_SIZES)}. Received: {name!r}. "
                "For another shape give the path of a config.json."
            )
        num_layers, hidden_size = _NAMED_SIZES[name]
        sizes = {
            "num_layers": num_layers,
            "hidden_size": hidden_size,
            "num_heads": hidden_size // _HEAD_WIDTH,
            "intermediate_size": 4 * hidden_size,
        }
        return cls(**{**sizes, **overrides})

    @classmethod
    def from_huggingface(cls, values: dict[str, Any]) -> EncoderConfig:
        """Reads Hugging Face's or Google's BERT keys; a key that is absent keeps our default.

        Keys that do not describe the encoder (`architectures`, `id2label`, ...) are left to the
        caller.

        Raises:
          ValueError: for a `model_type` or an option of the architecture that this encoder does not
            compute.
        """
        model_type = values.get("model_type", "bert")
        if model_type != "bert":
            raise ValueError(f"`model_type` must be 'bert'. Received: {model_type!r}")
        position_type = values.get("position_embedding_type") or "absolute"
        if position_type != "absolute":
            raise ValueError(
                f"`position_embedding_type` must be 'absolute'. Received: {position_type!r}"
            )
        if values.get("is_decoder") or values.get("add_cross_attention"):
            raise ValueError(
                "A decoder cannot be read as an encoder. "
                "Received: is_decoder or add_cross_attention"
            )
        fields = {
            ours: values[theirs] for ours, theirs in _HUGGINGFACE_KEYS.items() if theirs in values
        }
        if "activation" in fields:
            theirs = fields["activation"]
            if theirs not in _ACTIVATION_FROM_HUGGINGFACE:
                raise ValueError(
                    f"`hidden_act` must be one of {', '.join(_ACTIVATION_FROM_HUGGINGFACE)}. "
                    f"Received: {theirs!r}"
                )
            fields["activation"] = _ACTIVATION_FROM_HUGGINGFACE[theirs]
        if fields.get("pad_token_id", 0) is None:
            del fields["pad_token_id"]
        return cls(**fields)

    def to_huggingface(self) -> dict[str, Any]:
        """Returns the same configuration under Hugging Face's keys, `model_type` included."""
        values: dict[str, Any] = {"model_type": "bert"}
        for ours, theirs in _HUGGINGFACE_KEYS.items():
            values[theirs] = getattr(self, ours)
        values["hidden_act"] = _ACTIVATION_TO_HUGGINGFACE[self.activation]
        values["position_embedding_type"] = "absolute"
        return values

    @classmethod
    def from_json_file(cls, path: str | pathlib.Path) -> EncoderConfig:
        """Reads a `config.json` (Hugging Face) or `bert_config.json` (Google).

        Raises:
          ValueError: when the file is not a JSON object or does not describe a BERT encoder.
        """
        try:
            values = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(
                f"{path}: an encoder's configuration must be JSON in UTF-8. {error}"
            ) from error
        if not isinstance(values, dict):
            raise ValueError(
                f"{path}: an encoder's configuration must be a JSON object. "
                f"Received: {values!r:.80}"
            )
        try:
            return cls.from_huggingface(values)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    def replace(self, **changes: Any) -> EncoderConfig:
        """Returns a copy with some fields changed."""
        return dataclasses.replace(self, **changes)

    def to_dict(self) -> dict[str, Any]:
        """Returns our field names -> values, for Keras' `get_config`."""
        return dataclasses.asdict(self)
