"""One label for a text or for a pair of texts (sentiment, intents, natural language inference)."""

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

_BALANCED = "balanced"
_NO_AGREEMENT = ("gold_label", "-")  # of SNLI and MultiNLI, whose papers leave such rows out


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification(TextTask[str]):
    """Sequence classification: [CLS] a [SEP], or [CLS] a [SEP] b [SEP]; the label from [CLS].

    The label names are those of the training file, sorted (numbers by size), unless `labels` tells
    them; a label's id is its place. In a column `gold_label` a dash is no label.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 4.1.
    """

    name: ClassVar[str] = "classification"
    best_by: ClassVar[str] = "accuracy"

    labels: tuple[str, ...] = option(
        (),
        kind="list",
        help="All label names in the order of their ids, comma separated (default: those of the "
        "training file, sorted).",
    )
    class_weights: tuple[str, ...] = option(
        (),
        kind="list",
        help="How much an example of each label counts in training, in the labels' order; or "
        "balanced: as much as makes all labels equal.",
    )

    def __post_init__(self):
        super().__post_init__()
        repeated = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if repeated:
            raise ValueError(f"--labels names {', '.join(repeated)} more than once.")
        if self.class_weights and self.class_weights != (_BALANCED,):
            self._weights()

    def _target(self, values: Mapping[str, Any]) -> str:
        label = table_files.label_value(values, self._label_name)
        if (self._label_name, label) == _NO_AGREEMENT and label not in self.labels:
            raise ValueError("gold_label is '-': its annotators did not agree on a label.")
        if self.labels and label not in self.labels:
            if (placeholder := f"LABEL_{label}") in self.labels:
                return placeholder  # of transformers, for the number of a label without a name
            raise ValueError(f"unknown label {label!r}. {label_names.known(self.labels)}")
        return label

    def _fitted(self, path: str | Path, examples: Sequence[TextExample[str]]) -> Self:
        found = [example.label for example in examples]
        labels = self.labels or label_names.in_order(found)
        if len(labels) < 2:
            raise ValueError(
                f"{path}: a classifier needs at least two labels. "
                f"Column {self._label_name!r} has: "
                f"{', '.join(map(repr, labels)) or 'none'}."
            )
        task = dataclasses.replace(self, labels=labels)
        if self.class_weights == (_BALANCED,):
            # As scikit-learn's "balanced"; a label without examples has no weight to choose.
            counts = [found.count(label) for label in labels]
            shares = [len(found) / (len(labels) * count) if count else 1.0 for count in counts]
            task = dataclasses.replace(task, class_weights=tuple(f"{w:.6g}" for w in shares))
        if task.class_weights and len(task.class_weights) != len(labels):
            shown = ", ".join(labels[: label_names.MOST_SHOWN])
            raise ValueError(
                f"--class_weights needs a number for each of the {len(labels)} labels ({shown}). "
                f"Received: {len(task.class_weights)}."
            )
        return task

    def _target_rows(self, examples: Sequence[TextExample[str]]) -> dict[str, np.ndarray]:
        rows = {"label_ids": self._ids([example.label for example in examples])}
        if self.class_weights:
            rows["example_weights"] = self._weights()[rows["label_ids"]]
        return rows

    def _weights(self) -> np.ndarray:
        import numpy as np

        try:
            weights = np.array([float(weight) for weight in self.class_weights], np.float32)
        except ValueError:
            weights = np.array([np.nan])
        if not (np.isfinite(weights) & (weights >= 0)).all():
            raise ValueError(
                "--class_weights must be balanced, or numbers that are not negative. Received: "
                f"{','.join(self.class_weights)}."
            )
        return weights

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.classification import ClassificationHead

        return ClassificationHead.for_encoder(config, labels=self.labels, dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """{"label": string [B], "label_id": int32 [B], "scores": float32 [B, L], a softmax}."""
        import tensorflow as tf

        logits = tf.cast(outputs["label_logits"], tf.float32)
        label_ids = tf.argmax(logits, -1, output_type=tf.int32)
        return {
            "label": tf.gather(tf.constant(self.labels), label_ids),
            "label_id": label_ids,
            "scores": tf.nn.softmax(logits),
        }

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[TextExample[str]]
    ) -> list[dict[str, Any]]:
        """{"label": name, "score": its probability, "scores": {name: probability}, best first}.

        Where the label is known the texts and "gold" come first, so that errors can be read.
        """
        answers = []
        for example, label_id, scores in zip(
            examples, decoded["label_id"], decoded["scores"], strict=True
        ):
            order = sorted(range(len(scores)), key=lambda i: (i != label_id, -scores[i]))
            # The shortest digits that give the float32 back, not the 17 of its float64.
            named = {self.labels[i]: float(str(scores[i])) for i in order}
            label = self.labels[label_id]
            answer = {"label": label, "score": named[label], "scores": named}
            answers.append(self._known(example) | answer)
        return answers

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[TextExample[str]]
    ) -> dict[str, Any]:
        """Accuracy, macro F1, calibration error, each label's scores; with two labels also

        F1 of the second label (that of id 1) and Matthews' correlation, as GLUE has them.
        """
        from keras_bert_suite.evaluation import classification as scores
        from keras_bert_suite.evaluation.calibration import expected_calibration_error

        confusion = scores.confusion_matrix(
            self._ids([example.label for example in examples]),
            self._ids([prediction["label"] for prediction in predictions]),
            num_labels=len(self.labels),
        )
        metrics: dict[str, Any] = {
            "num_examples": len(examples),
            "accuracy": scores.accuracy(confusion),
            "macro_f1": scores.macro_f1(confusion),
            "majority_accuracy": scores.majority_accuracy(confusion),
            "calibration_error": expected_calibration_error(
                [prediction["score"] for prediction in predictions],
                [p["label"] == e.label for p, e in zip(predictions, examples, strict=True)],
            ),
        }
        labels = scores.label_table(confusion, self.labels)
        if len(self.labels) == 2:
            metrics["f1"] = labels[self.labels[1]]["f1"]
            metrics["f1_positive_label"] = self.labels[1]
            metrics["matthews_correlation"] = scores.matthews_correlation(confusion)
        metrics["labels"] = labels
        return metrics

    def prediction_files(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """errors.jsonl, the surest first, and confusion.svg."""
        known = [one for one in predictions if "gold" in one]
        wrong = (one for one in known if one["gold"] != one["label"])
        gold, found = ([one[key] for one in known] for key in ("gold", "label"))
        return {
            "errors.jsonl": error_files.error_lines(wrong, by="score"),
            **error_files.confusion_files(gold, found, self.labels),
        }

    def report(self, metrics: Mapping[str, Any]) -> str:
        from keras_bert_suite.evaluation.classification import table_text

        lines = [table_text(metrics["labels"]), ""]
        names = {"accuracy": "accuracy", "macro_f1": "macro F1"}
        if "f1" in metrics:
            names["f1"] = f"F1 of {metrics['f1_positive_label']!r}"
            names["matthews_correlation"] = "Matthews correlation"
        names["calibration_error"] = "calibration error (15 bins)"
        names["majority_accuracy"] = "accuracy of the most frequent label"
        lines += [f"{name}: {metrics[key]:.4f}" for key, name in names.items()]
        return "\n".join(lines)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.labels

    def _ids(self, labels: Sequence[str]) -> np.ndarray:
        import numpy as np

        ids = {label: i for i, label in enumerate(self.labels)}
        return np.array([ids[label] for label in labels], np.int32)
