"""How a model is computed to answer: the flags that prediction and evaluation share."""

from __future__ import annotations

import dataclasses

from keras_bert_suite.settings import check_types, setting


@dataclasses.dataclass(frozen=True, kw_only=True)
class PredictionSettings:
    """What `Predictor.load` is told beside the model and the task.

    Raises:
      ValueError: a value of another type.
    """

    base_dir: str | None = setting(
        None,
        help="Of the tuned part of a model (LoRA, adapters, ...): the directory of its base, "
        "where that is not at the place that the tuned part names.",
    )
    batch_size: int = setting(32, help="Examples computed at once.")
    sequence_length: int | None = setting(
        None, help="Most tokens of an example (default: that of the training)."
    )
    precision: str = setting("float32", help="Of the computation: float32, bfloat16 or float16.")

    def __post_init__(self):
        check_types(self)
