"""Full tuning: every weight of the encoder and of the head learns."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras_bert_suite.tuning.method import TuningMethod

if TYPE_CHECKING:
    import keras

    from keras_bert_suite.models.bert_model import BertModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class FullTuning(TuningMethod):
    """All weights learn, the result is a plain model.

    The defaults lie in the range of Devlin et al. 2018 (arXiv:1810.04805, appendix A.3): learning
    rates 2e-5 to 5e-5, 2 to 4 epochs. Small encoders and encoders that start from nothing want
    more: 1e-4 to 1e-3.
    """

    name: ClassVar[str] = "full"
    default_learning_rate: ClassVar[float] = 3e-5
    default_epochs: ClassVar[int] = 3
    keeps_base: ClassVar[bool] = False

    def saved(self, model: BertModel) -> list[keras.Variable]:
        return list(model.weights)
