"""Lower layers that do not learn, whatever the tuning method."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from keras_bert_suite.models.bert_model import BertModel


def freeze_layers(model: BertModel, count: int) -> None:
    """Keeps the embeddings and the first `count` layers from learning.

    Call it after the tuning method's `apply`; what the method added there does not learn either.

    Raises:
      ValueError: more layers than there are, or some of layers that share their weights.
    """
    config = model.encoder.config
    if not 0 <= count <= config.num_layers:
        raise ValueError(
            f"--freeze_layers must be in 0..{config.num_layers}, the encoder's layers. "
            f"Received: {count}."
        )
    if config.share_layers and 0 < count < config.num_layers:
        raise ValueError(
            "The layers of this encoder share their weights: --freeze_layers can be 0 or "
            f"{config.num_layers}. Received: {count}."
        )
    parts: list[Any] = [model.encoder.embeddings, *model.encoder.blocks[:count]]
    for part in parts:
        for layer in part._flatten_layers():
            layer.trainable = False
