"""The interface of a tuning method: which part of a model learns a task, and what is kept of it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, ClassVar

from keras_bert_suite.choices import Choice

if TYPE_CHECKING:
    import keras

    from keras_bert_suite.layers.attachment import Attachment
    from keras_bert_suite.models.bert_model import BertModel
    from keras_bert_suite.models.encoder import Encoder


@dataclasses.dataclass(frozen=True, kw_only=True)
class TuningMethod(Choice):
    """How a model is tuned. A new method is a new file in this package with a named subclass.

    The modules of this package import TensorFlow inside functions, so that `--help` stays quick.

    Attributes:
      default_learning_rate: the peak that suits the method when the user names none.
      default_epochs: passes over the training file when the user names none.
      keeps_base: whether weights of the base stay as they are, so that what is saved is the rest
        beside a reference to the base.
      mergeable: whether a plain model can compute the same.
    """

    what: ClassVar[str] = "tuning method"
    default_learning_rate: ClassVar[float]
    default_epochs: ClassVar[int]
    keeps_base: ClassVar[bool] = True
    mergeable: ClassVar[bool] = True

    def apply(self, model: BertModel) -> BertModel:
        """Gives the model to train: says what learns, adds what the method adds.

        Called once, inside the strategy's scope, before the optimizer is made; the optimizer keeps
        state for `trainable_variables` alone.

        Raises:
          ValueError: a method that adds layers was applied before; an option does not fit.
        """
        from keras_bert_suite.tuning.learning import let_learn

        model.encoder.attach(self.attachments(model.encoder))
        let_learn(model, self.saved(model))
        return model

    def attachments(self, encoder: Encoder) -> dict[str, Attachment]:
        """The layers that the method adds: path of the encoder's slot -> layer."""
        del encoder
        return {}

    def saved(self, model: BertModel) -> list[keras.Variable]:
        """The variables that learn and that the result consists of; the others are the base's.

        Here those of the layers that the method adds, of the heads, and of a pooler that they read.
        """
        from keras_bert_suite.tuning.learning import attached_variables, head_variables

        return [*attached_variables(model), *head_variables(model)]

    def merge(self, model: BertModel) -> BertModel:
        """Gives a plain model (an encoder and heads) that computes the same: this one, changed.

        Raises:
          ValueError: the method has no plain equivalent; the reason.
        """
        return model
