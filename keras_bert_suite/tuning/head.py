"""Tuning of the head alone: the encoder stays as it is."""

from __future__ import annotations

import dataclasses
from typing import ClassVar

from keras_bert_suite.tuning.method import TuningMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class HeadTuning(TuningMethod):
    """The heads learn, and the pooler where a head reads it.

    A linear probe: how much of a task the encoder's vectors hold already. The pooler learns too,
    for it is a part of the classifier that most published encoders lack or have from another task.
    Nothing is computed backward through the encoder, so a step takes a third of the time. A head
    begins at random and has little to forget: the learning rate is a hundredfold that of full
    tuning.
    """

    name: ClassVar[str] = "head"
    default_learning_rate: ClassVar[float] = 3e-3
    default_epochs: ClassVar[int] = 5
