"""Prompts that are vectors: in every layer (prefix) or at the input alone (prompt)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras_bert_suite.choices import option
from keras_bert_suite.tuning.method import TuningMethod

if TYPE_CHECKING:
    from keras_bert_suite.layers.attachment import Attachment
    from keras_bert_suite.models.bert_model import BertModel
    from keras_bert_suite.models.encoder import Encoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class _Prompts(TuningMethod):
    """The prompt learns, and the head with the pooler. Saved in PEFT's layout."""

    mergeable: ClassVar[bool] = False

    def merge(self, model: BertModel) -> BertModel:
        raise ValueError(
            f"The tuning method {self.name!r} cannot be merged: its vectors stand beside the "
            "tokens, and no weight of a plain encoder can say the same. Use the directory as it "
            "is; bin/export_model.py exports it with its prompt."
        )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prefix(_Prompts):
    """Deep prompts: in each layer learnt keys and values before those of the tokens.

    Rows keep all their positions: unlike in PEFT, whose prefix moves the tokens' positions behind
    it, the first token stays at position 0, so the numbers of the two differ.

    Source: Liu et al. 2021 (P-tuning v2), arXiv:2110.07602; Li & Liang 2021, arXiv:2101.00190.

    Raises:
      ValueError: a length below 1.
    """

    name: ClassVar[str] = "prefix"
    default_learning_rate: ClassVar[float] = 7e-3
    default_epochs: ClassVar[int] = 10

    prefix_length: int = option(20, kind="integer", help="Keys and values of the prefix, a layer.")

    def __post_init__(self):
        if self.prefix_length < 1:
            raise ValueError(f"--prefix_length must be at least 1. Received: {self.prefix_length}.")

    def attachments(self, encoder: Encoder) -> dict[str, Attachment]:
        from keras_bert_suite.layers.deep_prompt import DeepPrompt

        config = encoder.config
        layer = DeepPrompt(
            length=self.prefix_length,
            num_layers=config.num_layers,
            num_heads=config.num_heads,
            hidden_size=config.hidden_size,
            dtype=encoder.dtype_policy,
            name="deep_prompt",
        )
        return {"deep_prompt": layer}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Prompt(_Prompts):
    """A soft prompt: learnt vectors at the input alone, before [CLS].

    It is known to be weak at BERT's sizes and stands here for completeness: take prefix or LoRA.
    The vectors begin as embeddings of words drawn from the vocabulary. They have no position, so
    that rows keep all of theirs, and the pooler reads [CLS]; in PEFT they take the first positions,
    and the pooler reads the first of them, so the numbers of the two differ.

    Source: Lester et al. 2021, arXiv:2104.08691, section 2; learning rate of section 3.

    Raises:
      ValueError: a length below 1.
    """

    name: ClassVar[str] = "prompt"
    default_learning_rate: ClassVar[float] = 3e-2
    default_epochs: ClassVar[int] = 10

    prompt_length: int = option(20, kind="integer", help="Vectors of the soft prompt.")

    def __post_init__(self):
        if self.prompt_length < 1:
            raise ValueError(f"--prompt_length must be at least 1. Received: {self.prompt_length}.")

    def attachments(self, encoder: Encoder) -> dict[str, Attachment]:
        import numpy as np

        from keras_bert_suite.layers.soft_prompt import SoftPrompt

        table = encoder.embeddings.token_embeddings.embeddings
        rows, size = table.shape
        layer = SoftPrompt(
            length=self.prompt_length,
            embedding_size=size,
            dtype=encoder.dtype_policy,
            name="soft_prompt",
        )
        drawn = np.random.randint(rows, size=self.prompt_length)
        layer.prompt_embeddings.assign(np.asarray(table.value)[drawn])
        return {"soft_prompt": layer}
