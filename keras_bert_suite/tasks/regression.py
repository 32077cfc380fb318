"""A number for a text or for a pair of texts (similarity, a rating)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.tasks import error_files, table_files
from keras_bert_suite.tasks.text_task import TextExample, TextTask

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.models.heads.head import Head


@dataclasses.dataclass(frozen=True, kw_only=True)
class Regression(TextTask[float]):
    """One number from [CLS], learnt by its squared error, in the unit of the training file.

    Source: STS-B in GLUE, Wang et al. 2018, arXiv:1804.07461.
    """

    name: ClassVar[str] = "regression"
    best_by: ClassVar[str] = "spearman"
    number: ClassVar[str] = "value"

    def _default_label_columns(self) -> tuple[str, ...]:
        return ("label", "score")

    def _target(self, values: Mapping[str, Any]) -> float:
        return table_files.number_value(values, self._label_name)

    def _fitted(self, path: str | Path, examples: Sequence[TextExample[float]]) -> Self:
        if len({example.label for example in examples}) < 2:
            raise ValueError(
                f"{path}: a regression needs at least two different numbers in column "
                f"{self._label_name!r}."
            )
        return self

    def _target_rows(self, examples: Sequence[TextExample[float]]) -> dict[str, np.ndarray]:
        import numpy as np

        return {"label_values": np.array([example.label for example in examples], np.float32)}

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.regression import RegressionHead

        return RegressionHead.for_encoder(config, labels=("score",), dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """{"value": float32 [B]}."""
        import tensorflow as tf

        return {"value": tf.cast(outputs["label_logits"], tf.float32)[:, 0]}

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[TextExample[float]]
    ) -> list[dict[str, Any]]:
        """{"value": number}, and first the texts and "gold" where it is known."""
        return [
            self._known(example) | {"value": float(str(value))}
            for example, value in zip(examples, decoded["value"], strict=True)
        ]

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[TextExample[float]]
    ) -> dict[str, Any]:
        """Pearson's and Spearman's correlation, as GLUE has them, and the mean errors."""
        import numpy as np

        from keras_bert_suite.evaluation import regression as scores

        gold = np.array([example.label for example in examples])
        predicted = np.array([prediction["value"] for prediction in predictions])
        return {
            "num_examples": len(examples),
            "pearson": scores.pearson(gold, predicted),
            "spearman": scores.spearman(gold, predicted),
            **scores.errors(gold, predicted),
            "mean_gold": float(gold.mean()),
            "mean_predicted": float(predicted.mean()),
        }

    def prediction_files(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """errors.jsonl: every row with its "error", the largest first."""
        known = [one for one in predictions if "gold" in one]
        errors = ({**one, "error": abs(one["value"] - one["gold"])} for one in known)
        return {"errors.jsonl": error_files.error_lines(errors, by="error")}

    def report(self, metrics: Mapping[str, Any]) -> str:
        return "\n".join(
            [
                f"Pearson correlation: {metrics['pearson']:.4f}",
                f"Spearman correlation: {metrics['spearman']:.4f}",
                f"mean squared error: {metrics['mean_squared_error']:.4f} "
                f"(root {math.sqrt(metrics['mean_squared_error']):.4f})",
                f"mean absolute error: {metrics['mean_absolute_error']:.4f}",
            ]
        )
