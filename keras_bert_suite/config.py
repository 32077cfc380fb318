"""The encoder's configuration: a frozen dataclass, read and written in Hugging Face's keys."""

from __future__ import annotations

import dataclasses
import json
import pathlib
from typing import Any

from keras_bert_suite import families
from keras_bert_suite.families import ACTIVATIONS, FAMILIES, NAMED_SIZES

_SIZES = (
    "vocab_size",
    "hidden_size",
    "num_layers",
    "num_heads",
    "intermediate_size",
    "max_positions",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """The shape of an encoder; the defaults are BERT-base's.

    The encoder computes what the fields say. `family` is the format in which it is stored and the
    heads that belong to it; a family allows only what its published encoders can be.

    Sources: Devlin et al. 2018, arXiv:1810.04805, section 3 (BERT); arXiv:1907.11692 (RoBERTa);
      arXiv:1909.11942 (ALBERT); arXiv:1910.01108 (DistilBERT); arXiv:2003.10555 (ELECTRA);
      arXiv:2412.13663, section 2.1.2 (local layers, under ModernBERT's keys).

    Raises:
      ValueError: for a size that is not a positive integer, heads that do not divide the hidden
        size, a rate outside [0, 1), an unknown activation or family, a field that the family does
        not have.
    """

    family: str = "bert"  # Hugging Face's model_type: bert, roberta, albert, distilbert, electra
    vocab_size: int = 30522  # entries of the vocabulary, the special tokens included
    hidden_size: int = 768  # width of the token representations
    num_layers: int = 12  # encoder blocks that a token passes
    num_heads: int = 12  # attention heads; each is hidden_size / num_heads wide
    intermediate_size: int = 3072  # width of the feed-forward layer
    max_positions: int = 512  # tokens of the longest row, [CLS] and [SEP] included
    num_segments: int = 2  # rows of the segment embedding: sentence A, sentence B; 0 = no table
    embedding_size: int | None = None  # width of the tables before a projection; None = hidden_size
    share_layers: bool = False  # True: one encoder block, applied num_layers times (ALBERT)
    use_pooler: bool = True  # False: pooled_output is the first token's vector as it is
    activation: str = "gelu"  # gelu (erf) | gelu_tanh | relu | silu
    layer_norm_epsilon: float = 1e-12  # Google's BERT; RoBERTa has 1e-5
    hidden_dropout: float = 0.1  # probability, after each dense layer and the embeddings
    attention_dropout: float = 0.1  # probability, on the attention weights
    initializer_range: float = 0.02  # standard deviation of the truncated normal
    pad_token_id: int = 0  # id of [PAD]
    local_attention: int | None = None  # tokens of the window that local layers see; None = all
    global_attention_every: int = 3  # with local_attention, layers 0, 3, 6, ... see all tokens

    def __post_init__(self):
        self._check_sizes()
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
        if self.local_attention == 1:
            raise ValueError(
                "`local_attention` counts the tokens of both sides: at least 2. "
                "Received: local_attention=1"
            )
        self._check_family()

    def _check_sizes(self):
        optional = ("embedding_size", "local_attention")
        given = [name for name in optional if getattr(self, name) is not None]
        for name in (*_SIZES, *given, "global_attention_every"):
            value = getattr(self, name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise ValueError(f"`{name}` must be a positive integer. Received: {name}={value!r}")
        segments = self.num_segments
        if not isinstance(segments, int) or isinstance(segments, bool) or segments < 0:
            raise ValueError(
                f"`num_segments` must be an integer, 0 or more. Received: num_segments={segments!r}"
            )
        if self.hidden_size % self.num_heads:
            raise ValueError(
                "`num_heads` must divide `hidden_size`. Received: "
                f"hidden_size={self.hidden_size}, num_heads={self.num_heads}"
            )

    def _check_family(self):
        if self.family not in FAMILIES:
            raise ValueError(
                f"`family` must be one of {', '.join(FAMILIES)}. Received: family={self.family!r}"
            )
        for name, wanted in families.FIXED[self.family].items():
            value = getattr(self, name)
            if value != wanted:
                raise ValueError(
                    f"An encoder of the family {self.family!r} must have {name}={wanted!r}. "
                    f"Received: {name}={value!r}"
                )
        if not isinstance(self.use_pooler, bool):
            raise ValueError(f"`use_pooler` must be a bool. Received: {self.use_pooler!r}")
        if not self.num_segments and self.family != "distilbert":
            raise ValueError(
                f"An encoder of the family {self.family!r} must have at least one segment; the "
                "family 'distilbert' has none. Received: num_segments=0"
            )
        if self.family == "albert" and self.embedding_size is None:
            raise ValueError("An encoder of the family 'albert' must have an `embedding_size`")
        if self.family == "electra" and self.embedding_size == self.hidden_size:
            raise ValueError(
                "An encoder of the family 'electra' projects its embeddings only to another size. "
                f"Received: embedding_size=hidden_size={self.hidden_size}. Leave embedding_size out"
            )

    @property
    def position_offset(self) -> int:
        """The row of the position table that stands for position 0; the rows before it are unused.

        pad_token_id + 1 in RoBERTa, 0 in all others. The table has max_positions rows more.
        """
        return families.position_offset(self.family, self.pad_token_id)

    def reach(self, layer: int) -> int | None:
        """How many tokens to the left and to the right a layer sees; None: all of the row."""
        if self.local_attention is None or layer % self.global_attention_every == 0:
            return None
        return self.local_attention // 2

    @classmethod
    def from_name(cls, name: str, **overrides: Any) -> EncoderConfig:
        """Returns a named size.

        tiny, mini, small, medium, base and large are BERT (arXiv:1908.08962), as is L-2_H-256_A-4
        of the same paper: any numbers of layers, hidden size and heads (without _A-4: 64 wide). The
        others have the names of their published checkpoints, such as roberta-base.

        Raises:
          ValueError: an unknown name, or overrides that do not fit.
        """
        named = NAMED_SIZES.get(name) or families.spelled_out(name)
        if named is None:
            raise ValueError(
                f"An encoder's name must be one of {', '.join(NAMED_SIZES)}, or a size such as "
                f"L-2_H-256_A-4. Received: {name!r}. For another shape give the path of a "
                "config.json."
            )
        family, num_layers, hidden_size, own = named
        sizes = {
            "num_layers": num_layers,
            "hidden_size": hidden_size,
            "num_heads": hidden_size // families.HEAD_WIDTH,
            "intermediate_size": 4 * hidden_size,
        }
        defaults = {**families.FIXED[family], **families.DEFAULTS[family], **sizes, **own}
        return cls(**{**defaults, "family": family, **overrides})

    @classmethod
    def from_huggingface(cls, values: dict[str, Any]) -> EncoderConfig:
        """Reads Hugging Face's or Google's keys; a key that is absent keeps the family's default.

        Keys that do not describe the encoder (`architectures`, `id2label`, ...) are left to the
        caller.

        Raises:
          ValueError: for a `model_type` or an option of the architecture that this encoder does not
            compute.
        """
        return cls(**families.fields_of(values))

    def to_huggingface(self) -> dict[str, Any]:
        """Returns the same configuration under Hugging Face's keys, `model_type` included.

        `use_pooler` has no key there: the tensors show it.
        """
        return families.huggingface_values(self.family, self.to_dict())

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
