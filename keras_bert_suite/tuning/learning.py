"""Which variables of a model learn."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import keras

    from keras_bert_suite.models.bert_model import BertModel


def let_learn(model: BertModel, variables: Iterable[keras.Variable]) -> None:
    """Makes exactly these variables of the model trainable, whatever was frozen before."""
    # Layer by layer: an attribute that is set to the value it has is not set at all (tf.Module), so
    # `model.trainable = True` would not reach a frozen part of the model.
    for layer in model._flatten_layers():
        layer.trainable = True
    learns = {id(variable) for variable in variables}
    for variable in model.weights:
        variable.trainable = id(variable) in learns


def head_variables(model: BertModel) -> list[keras.Variable]:
    """The variables of the heads, behind those of the pooler where a head reads it.

    The pooler belongs to them: it is a part of the classifier that most published encoders lack or
    have from another task.
    """
    pooler = model.encoder.pooler
    read = pooler is not None and any(head.uses_pooler for head in model.heads.values())
    of_heads = [variable for head in model.heads.values() for variable in head.weights]
    return [*(pooler.weights if read else ()), *of_heads]


def attached_variables(model: BertModel) -> list[keras.Variable]:
    """The variables of what a method put into the encoder's slots."""
    return [v for layer in model.encoder.attachments().values() for v in layer.weights]
