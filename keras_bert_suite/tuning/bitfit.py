"""BitFit: the biases learn, and the head."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras_bert_suite.tuning.method import TuningMethod

if TYPE_CHECKING:
    import keras

    from keras_bert_suite.models.bert_model import BertModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class BitFit(TuningMethod):
    """All biases of the encoder's layers learn, LayerNorm's (beta) included; and the head.

    The pooler counts as a part of the head. Learning rates 1e-4 to 1e-2 in the paper, more for
    small models.

    Source: Ben-Zaken et al. 2021, arXiv:2106.10199, section 3.
    """

    name: ClassVar[str] = "bitfit"
    default_learning_rate: ClassVar[float] = 1e-3
    default_epochs: ClassVar[int] = 5

    def saved(self, model: BertModel) -> list[keras.Variable]:
        from keras_bert_suite.tuning.learning import head_variables

        pooler = model.encoder.pooler
        of_pooler = {id(variable) for variable in (pooler.weights if pooler else ())}
        biases = [
            variable
            for variable in model.encoder.weights
            if variable.name in ("bias", "beta") and id(variable) not in of_pooler
        ]
        return [*biases, *head_variables(model)]
