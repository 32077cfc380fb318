"""Any number of labels for a text or for a pair of texts (topics, emotions)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import error_files, label_names, table_files
from keras_bert_suite.tasks.text_task import TextExample, TextTask

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.models.heads.head import Head

Labels = tuple[str, ...]


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultiLabel(TextTask[Labels]):
    """Each label by itself from [CLS]: those whose probability reaches the threshold.

    The label column holds a JSON list of names, or a string with `label_separator` between them;
    an empty one is a row without labels. The label names are those of the training file, sorted,
    unless `labels` tells them. With `threshold` "tuned" it becomes the one with the best micro F1
    on the dev file.
    """

    name: ClassVar[str] = "multilabel"
    best_by: ClassVar[str] = "micro_f1"

    labels: tuple[str, ...] = option(
        (),
        kind="list",
        help="All label names in the order of their ids, comma separated (default: those of the "
        "training file, sorted).",
    )
    label_separator: str = option(
        ";", help="Between the labels of a row of a table, for multilabel.", adjustable=True
    )
    threshold: str = option(
        "0.5",
        help="Least probability of a label, for multilabel; tuned: the best on the dev file.",
        adjustable=True,
    )

    def __post_init__(self):
        super().__post_init__()
        if not self.label_separator:
            raise ValueError("--label_separator must not be empty.")
        if self.threshold != "tuned" and not _is_share(self.threshold):
            raise ValueError(
                f"--threshold must be tuned or a number in (0, 1). Received: {self.threshold}."
            )

    def _default_label_columns(self) -> tuple[str, ...]:
        return ("labels", "label")

    def _target(self, values: Mapping[str, Any]) -> Labels:
        names = table_files.labels_value(values, self._label_name, separator=self.label_separator)
        unknown = [name for name in names if self.labels and name not in self.labels]
        if unknown:
            raise ValueError(f"unknown label {unknown[0]!r}. {label_names.known(self.labels)}")
        return names

    def _fitted(self, path: str | Path, examples: Sequence[TextExample[Labels]]) -> Self:
        found = {label for example in examples for label in example.label}
        labels = self.labels or label_names.in_order(found)
        if len(labels) < 2:
            raise ValueError(
                f"{path}: at least two labels are needed. Column {self._label_name!r} has: "
                f"{', '.join(map(repr, labels)) or 'none'}."
            )
        return dataclasses.replace(self, labels=labels)

    def _target_rows(self, examples: Sequence[TextExample[Labels]]) -> dict[str, np.ndarray]:
        import numpy as np

        return {"label_targets": self._table([e.label for e in examples]).astype(np.float32)}

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.multi_label import MultiLabelHead

        return MultiLabelHead.for_encoder(config, labels=self.labels, dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """{"scores": float32 [B, L], each a probability, "is_label": bool [B, L]}."""
        import tensorflow as tf

        scores = tf.sigmoid(tf.cast(outputs["label_logits"], tf.float32))
        return {"scores": scores, "is_label": scores >= self._least}

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[TextExample[Labels]]
    ) -> list[dict[str, Any]]:
        """{"labels": names, likeliest first, "scores": {name: probability}, likeliest first}."""
        answers = []
        for example, scores in zip(examples, decoded["scores"], strict=True):
            order = sorted(range(len(scores)), key=lambda i: -scores[i])
            named = {self.labels[i]: float(str(scores[i])) for i in order}
            answers.append(self._known(example) | self._chosen(named))
        return answers

    def calibrated(
        self, predictions: Sequence[dict[str, Any]], examples: Sequence[TextExample[Labels]]
    ) -> tuple[Self, list[dict[str, Any]]]:
        """With threshold "tuned": the task with the best threshold on these examples."""
        from keras_bert_suite.evaluation import multilabel as scores

        if self.threshold != "tuned":
            return self, list(predictions)
        best = scores.best_threshold(
            self._table([example.label for example in examples]), self._scores(predictions)
        )
        task = dataclasses.replace(self, threshold=repr(best))
        return task, [p | task._chosen(p["scores"]) for p in predictions]

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[TextExample[Labels]]
    ) -> dict[str, Any]:
        """Micro and macro F1, the share of rows all right, and each label's scores."""
        from keras_bert_suite.evaluation import multilabel as scores

        gold = self._table([example.label for example in examples])
        predicted = self._table([prediction["labels"] for prediction in predictions])
        return {
            "num_examples": len(examples),
            "threshold": self._least,
            **scores.multilabel_scores(gold, predicted, labels=self.labels),
        }

    def prediction_files(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """errors.jsonl: rows with labels "missing" or "extra", the surest error first."""
        errors = []
        for one in predictions:
            missing = [name for name in one.get("gold", ()) if name not in one["labels"]]
            extra = [name for name in one["labels"] if name not in one.get("gold", ())]
            if "gold" in one and (missing or extra):
                sure = [1 - one["scores"][n] for n in missing] + [one["scores"][n] for n in extra]
                wrong = {"missing": missing, "extra": extra, "confidence": max(sure)}
                errors.append({**one, **wrong})
        return {"errors.jsonl": error_files.error_lines(errors, by="confidence")}

    def report(self, metrics: Mapping[str, Any]) -> str:
        from keras_bert_suite.evaluation.classification import table_text

        names = {
            "micro_f1": "micro F1",
            "macro_f1": "macro F1",
            "exact_match": "rows with all labels right",
            "threshold": "threshold",
        }
        lines = [table_text(metrics["labels"]), ""]
        return "\n".join(lines + [f"{name}: {metrics[key]:.4f}" for key, name in names.items()])

    @property
    def classes(self) -> tuple[str, ...]:
        return self.labels

    @property
    def _least(self) -> float:
        return 0.5 if self.threshold == "tuned" else float(self.threshold)

    def _chosen(self, named: Mapping[str, float]) -> dict[str, Any]:
        # In float32, as the graph compares: a score printed short is the same float32.
        import numpy as np

        least = np.float32(self._least)
        chosen = [name for name, score in named.items() if np.float32(score) >= least]
        return {"labels": chosen, "scores": dict(named)}

    def _table(self, rows: Sequence[Sequence[str]]) -> np.ndarray:
        """bool [rows, labels]: which labels each row has."""
        import numpy as np

        ids = {label: i for i, label in enumerate(self.labels)}
        table = np.zeros([len(rows), len(ids)], np.bool_)
        for place, names in enumerate(rows):
            table[place, [ids[name] for name in names]] = True
        return table

    def _scores(self, predictions: Sequence[Mapping[str, Any]]) -> np.ndarray:
        import numpy as np

        rows = [[one["scores"][label] for label in self.labels] for one in predictions]
        return np.array(rows, np.float32)


def _is_share(text: str) -> bool:
    try:
        return 0.0 < float(text) < 1.0
    except ValueError:
        return False
