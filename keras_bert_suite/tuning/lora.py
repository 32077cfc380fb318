"""LoRA: low-rank corrections of the encoder's matrices, and the head."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras_bert_suite.choices import option
from keras_bert_suite.tuning.method import TuningMethod

if TYPE_CHECKING:
    from keras_bert_suite.layers.attachment import Attachment
    from keras_bert_suite.models.bert_model import BertModel
    from keras_bert_suite.models.encoder import Encoder

# Name -> (path of the dense layer in a block, part of its outputs, number of its parts)
PARTS = {
    "query": ("attention.query_key_value", 0, 3),
    "key": ("attention.query_key_value", 1, 3),
    "value": ("attention.query_key_value", 2, 3),
    "attention_output": ("attention.output_dense", 0, 1),
    "intermediate": ("feed_forward.intermediate", 0, 1),
    "output": ("feed_forward.output_dense", 0, 1),
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Lora(TuningMethod):
    """W + alpha / rank A B for some matrices W of each layer; A and B learn, and the head.

    The pooler counts as a part of the head. Saved in PEFT's layout.

    Source: Hu et al. 2021, arXiv:2106.09685; query and value as in section 7.1.

    Raises:
      ValueError: a number out of range, or an unknown target.
    """

    name: ClassVar[str] = "lora"
    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 5

    lora_rank: int = option(8, kind="integer", help="Rank of LoRA's matrices.")
    lora_alpha: float = option(
        16.0,
        kind="float",
        help="LoRA's scale: corrections are multiplied by it and divided by the rank.",
    )
    lora_targets: tuple[str, ...] = option(
        ("query", "value"), kind="list", help=f"What LoRA corrects: of {', '.join(PARTS)}."
    )
    lora_dropout: float = option(
        0.0, kind="float", help="Dropout before LoRA's matrices in training."
    )

    def __post_init__(self):
        if self.lora_rank < 1:
            raise ValueError(f"--lora_rank must be at least 1. Received: {self.lora_rank}.")
        if not self.lora_alpha > 0:
            raise ValueError(f"--lora_alpha must be positive. Received: {self.lora_alpha}.")
        if not 0 <= self.lora_dropout < 1:
            raise ValueError(f"--lora_dropout must be in [0, 1). Received: {self.lora_dropout}.")
        known, given = set(PARTS), self.lora_targets
        if not given or set(given) - known or len(set(given)) != len(given):
            raise ValueError(
                f"--lora_targets must be some of {', '.join(PARTS)}, each once. "
                f"Received: {', '.join(given) or 'none'}."
            )

    def attachments(self, encoder: Encoder) -> dict[str, Attachment]:
        from keras_bert_suite.layers.low_rank_update import LowRankUpdate

        layers: dict[str, list[int]] = {}
        for path, part, _ in (PARTS[name] for name in PARTS if name in self.lora_targets):
            layers.setdefault(path, []).append(part)
        parts = {path: count for path, _, count in PARTS.values()}
        config = encoder.config
        units = {
            "attention.query_key_value": 3 * config.hidden_size,
            "feed_forward.intermediate": config.intermediate_size,
        }
        inputs = {"feed_forward.output_dense": config.intermediate_size}
        return {
            f"blocks.{index}.{path}.update": LowRankUpdate(
                inputs=inputs.get(path, config.hidden_size),
                units=units.get(path, config.hidden_size),
                rank=self.lora_rank,
                alpha=self.lora_alpha,
                parts=parts[path],
                targets=targets,
                dropout=self.lora_dropout,
                dtype=encoder.dtype_policy,
                name=f"block_{index}_{path.replace('.', '_')}_update",
            )
            for index in range(len(encoder.blocks))
            for path, targets in layers.items()
        }

    def merge(self, model: BertModel) -> BertModel:
        """Adds the corrections to the model's own matrices and takes them out of it."""
        import tensorflow as tf

        encoder = model.encoder
        for path, update in encoder.detach().items():
            dense, _ = encoder.slot(path)
            kernel = tf.cast(tf.convert_to_tensor(dense.kernel), tf.float32)
            dense.kernel.assign(kernel + update.matrix())
        return model
