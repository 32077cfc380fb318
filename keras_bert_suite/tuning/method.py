"""The interface of a tuning method: which part of a model learns a task, and what is kept of it."""

from __future__ import annotations

import abc
import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras_bert_suite.choices import Choice

if TYPE_CHECKING:
    import keras

    from keras_bert_suite.models.bert_model import BertModel


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningMethod(Choice, abc.ABC):
    """How a model is tuned. A new method is a new file in this package with a named subclass.

    Attributes:
      default_learning_rate: the peak that suits the method when the user names none.
      default_epochs: passes over the training file when the user names none.
    """

    what: ClassVar[str] = "tuning method"
    default_learning_rate: ClassVar[float]
    default_epochs: ClassVar[int]

    @abc.abstractmethod
    def apply(self, model: BertModel) -> BertModel:
        """Gives the model to train: says what learns, adds what the method adds.

        Called once, inside the strategy's scope, before the optimizer is made; the optimizer keeps
        state for `trainable_variables` alone.
        """

    @abc.abstractmethod
    def saved(self, model: BertModel) -> list[keras.Variable]:
        """The variables that the method's result consists of; the others are the base model's."""

    @abc.abstractmethod
    def merge(self, model: BertModel) -> BertModel:
        """Gives a plain model (an encoder and heads) that computes the same.

        Raises:
          ValueError: the method has no plain equivalent; the reason.
        """
