"""Bottleneck adapters: Houlsby's, two in each layer, and Pfeiffer's, one."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras_bert_suite.choices import option
from keras_bert_suite.tuning.method import TuningMethod

if TYPE_CHECKING:
    import keras

    from keras_bert_suite.layers.attachment import Attachment
    from keras_bert_suite.models.bert_model import BertModel
    from keras_bert_suite.models.encoder import Encoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Adapters(TuningMethod):
    """Bottlenecks in the slots of each layer; they learn, and the head with the pooler."""

    mergeable: ClassVar[bool] = False
    slots: ClassVar[tuple[str, ...]]
    activation: ClassVar[str]

    def _size(self, hidden_size: int) -> int:
        raise NotImplementedError

    def attachments(self, encoder: Encoder) -> dict[str, Attachment]:
        from keras_bert_suite.layers.bottleneck import Bottleneck

        hidden_size = encoder.config.hidden_size
        return {
            f"blocks.{index}.{slot}": Bottleneck(
                hidden_size=hidden_size,
                size=self._size(hidden_size),
                activation=self.activation,
                dtype=encoder.dtype_policy,
                name=f"block_{index}_{slot}",
            )
            for index in range(len(encoder.blocks))
            for slot in self.slots
        }

    def merge(self, model: BertModel) -> BertModel:
        raise ValueError(
            f"The tuning method {self.name!r} cannot be merged: an adapter has an activation "
            "between its matrices, and no plain encoder has a place for that. Use the directory as "
            "it is; bin/export_model.py exports it with its adapters."
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Houlsby(_Adapters):
    """An adapter after each of the two sublayers, before the residual; the LayerNorms learn too.

    2 m d + d + m weights an adapter, with m = `houlsby_size` and d the hidden size.

    Source: Houlsby et al. 2019, arXiv:1902.00751, section 2.1; size 64 and a learning rate of 3e-4
      are of section 3.2. The LayerNorms are all of the encoder's, as in the authors' code.

    Raises:
      ValueError: a size below 1.
    """

    name: ClassVar[str] = "houlsby"
    default_learning_rate: ClassVar[float] = 3e-4
    default_epochs: ClassVar[int] = 10
    slots: ClassVar[tuple[str, ...]] = ("attention_adapter", "feed_forward_adapter")
    activation: ClassVar[str] = "gelu"

    houlsby_size: int = option(64, kind="integer", help="Width of Houlsby's adapters.")

    def __post_init__(self):
        if self.houlsby_size < 1:
            raise ValueError(f"--houlsby_size must be at least 1. Received: {self.houlsby_size}.")

    def _size(self, hidden_size: int) -> int:
        return self.houlsby_size

    def saved(self, model: BertModel) -> list[keras.Variable]:
        norms = [v for v in model.encoder.weights if v.name in ("gamma", "beta")]
        return [*norms, *super().saved(model)]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Pfeiffer(_Adapters):
    """An adapter after the feed-forward sublayer alone; the LayerNorms stay as they are.

    Width: the hidden size divided by `pfeiffer_reduction`, at least 1.

    Source: Pfeiffer et al. 2020, arXiv:2005.00247, section 3.3 (reduction 16) and AdapterHub,
      arXiv:2007.07779, section 2. Here the residual is the sublayer's own.

    Raises:
      ValueError: a reduction below 1.
    """

    name: ClassVar[str] = "pfeiffer"
    default_learning_rate: ClassVar[float] = 5e-4
    default_epochs: ClassVar[int] = 10
    slots: ClassVar[tuple[str, ...]] = ("feed_forward_adapter",)
    activation: ClassVar[str] = "relu"

    pfeiffer_reduction: int = option(
        16, kind="integer", help="Hidden size divided by the width of Pfeiffer's adapters."
    )

    def __post_init__(self):
        if self.pfeiffer_reduction < 1:
            raise ValueError(
                f"--pfeiffer_reduction must be at least 1. Received: {self.pfeiffer_reduction}."
            )

    def _size(self, hidden_size: int) -> int:
        return max(1, hidden_size // self.pfeiffer_reduction)
