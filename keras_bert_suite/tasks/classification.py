"""One label for a text or for a pair of texts (sentiment, intents, natural language inference)."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer

_MOST_LABELS_SHOWN = 12


@dataclasses.dataclass(frozen=True)
class TextExample:
    """A text or a pair of texts, and its label where it is known."""

    texts: tuple[str, ...]
    label: str | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class Classification(Task[TextExample]):
    """Sequence classification: [CLS] a [SEP], or [CLS] a [SEP] b [SEP]; the label from [CLS].

    Files are what `tasks/table_files.py` reads. A file with the column `text` holds single texts,
    one with `text_a` and `text_b` holds pairs. The label names are those of the training file,
    sorted, unless `labels` tells them; a label's id is its place.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 4.1.
    """

    name: ClassVar[str] = "classification"
    best_by: ClassVar[str] = "accuracy"

    text_column: str | None = option(
        help="Column of single texts (default: text).", adjustable=True
    )
    text_a_column: str | None = option(
        help="Column of the first texts of pairs (default: text_a).", adjustable=True
    )
    text_b_column: str | None = option(
        help="Column of the second texts of pairs (default: text_b).", adjustable=True
    )
    label_column: str = option("label", help="Column of the labels.", adjustable=True)
    labels: tuple[str, ...] = option(
        (),
        kind="list",
        help="All label names in the order of their ids, comma separated (default: those of the "
        "training file, sorted).",
    )

    def __post_init__(self):
        pair = (self.text_a_column, self.text_b_column)
        if self.text_column and any(pair):
            raise ValueError(
                "Classification takes single texts or pairs of texts: --text_column, or "
                "--text_a_column with --text_b_column. Received: both."
            )
        if any(pair) and not all(pair):
            raise ValueError(
                "A pair needs both columns, --text_a_column and --text_b_column. "
                f"Received: {pair[0] or 'none'} and {pair[1] or 'none'}."
            )
        repeated = sorted({label for label in self.labels if self.labels.count(label) > 1})
        if repeated:
            raise ValueError(f"--labels names {', '.join(repeated)} more than once.")

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[TextExample]]:
        rows = list(table_files.read_rows(path, bad_rows=bad_rows))
        task = self._with_columns(path, [*rows[0].values])
        examples = list(task._examples(path, rows, bad_rows))
        labels = self.labels or tuple(sorted({example.label for example in examples}))
        if len(labels) < 2:
            raise ValueError(
                f"{path}: a classifier needs at least two labels. "
                f"Column {task.label_column!r} has: "
                f"{', '.join(map(repr, labels)) or 'none'}."
            )
        return dataclasses.replace(task, labels=labels), examples

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[TextExample]:
        rows = list(table_files.read_rows(path, bad_rows=bad_rows))
        self._require_columns(path, [*rows[0].values])
        examples = list(self._examples(path, rows, bad_rows))
        if not examples:
            raise ValueError(f"{path}: none of the {len(rows)} rows can be used.")
        return examples

    def example(self, record: Mapping[str, Any]) -> TextExample:
        return TextExample(
            tuple(table_files.text_value(record, column) for column in self._text_columns)
        )

    def features(
        self, examples: Sequence[TextExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        from keras_bert_suite.data.text_features import text_features

        rows = {}
        if examples and examples[0].label is not None:
            rows["label_ids"] = self._ids([example.label for example in examples])
        return text_features(
            [example.texts for example in examples], tokenizer, max_length=max_length, rows=rows
        )

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
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[TextExample]
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
            known = {}
            if example.label is not None:
                known = dict(zip(self._inputs, example.texts, strict=True), gold=example.label)
            answers.append(known | {"label": label, "score": named[label], "scores": named})
        return answers

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[TextExample]
    ) -> dict[str, Any]:
        """Accuracy, macro F1, the majority's accuracy, each label's scores; with two labels also

        F1 of the second label (that of id 1) and Matthews' correlation, as GLUE has them.
        """
        from keras_bert_suite.evaluation import classification as scores

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
        }
        labels = scores.label_table(confusion, self.labels)
        if len(self.labels) == 2:
            metrics["f1"] = labels[self.labels[1]]["f1"]
            metrics["f1_positive_label"] = self.labels[1]
            metrics["matthews_correlation"] = scores.matthews_correlation(confusion)
        metrics["labels"] = labels
        return metrics

    def report(self, metrics: Mapping[str, Any]) -> str:
        from keras_bert_suite.evaluation.classification import table_text

        lines = [table_text(metrics["labels"]), ""]
        names = {"accuracy": "accuracy", "macro_f1": "macro F1"}
        if "f1" in metrics:
            names["f1"] = f"F1 of {metrics['f1_positive_label']!r}"
            names["matthews_correlation"] = "Matthews correlation"
        names["majority_accuracy"] = "accuracy of the most frequent label"
        lines += [f"{name}: {metrics[key]:.4f}" for key, name in names.items()]
        return "\n".join(lines)

    @property
    def classes(self) -> tuple[str, ...]:
        return self.labels

    def signature(self) -> dict[str, dict[str, Any]]:
        return {"serving_default": {"inputs": list(self._inputs)}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        ids = [tokenizer.ragged_ids(texts[name]) for name in self._inputs]
        return tokenizer.pack(*ids, max_length=max_length)

    @property
    def _text_columns(self) -> tuple[str, ...]:
        return (self.text_column,) if self.text_column else (self.text_a_column, self.text_b_column)

    @property
    def _inputs(self) -> tuple[str, ...]:
        return ("text",) if self.text_column else ("text_a", "text_b")

    def _with_columns(self, path: str | Path, present: Sequence[str]) -> Self:
        """This task with its columns, from the flags or by the default names; checks them."""
        task = self
        if not (self.text_column or self.text_a_column):
            single = "text" in present
            if single and "text_a" in present and "text_b" in present:
                raise ValueError(
                    f"{path} has the columns text and text_a, text_b: say by --text_column, or by "
                    "--text_a_column with --text_b_column, which are meant."
                )
            pair = not single and ("text_a" in present or "text_b" in present)
            task = dataclasses.replace(
                self,
                text_column=None if pair else "text",
                text_a_column="text_a" if pair else None,
                text_b_column="text_b" if pair else None,
            )
        task._require_columns(path, present)
        return task

    def _require_columns(self, path: str | Path, present: Sequence[str]) -> None:
        wanted = [*self._text_columns, self.label_column]
        if not set(wanted) <= set(present):
            raise ValueError(table_files.missing_columns(path, wanted, present))

    def _examples(
        self, path: str | Path, rows: Sequence[table_files.Row], bad_rows: BadRows
    ) -> Iterator[TextExample]:
        known = set(self.labels)
        for row in rows:
            try:
                texts = tuple(table_files.text_value(row.values, c) for c in self._text_columns)
                label = table_files.label_value(row.values, self.label_column)
                if known and label not in known:
                    raise ValueError(f"unknown label {label!r}. {_known_labels(self.labels)}")
            except ValueError as error:
                bad_rows.add(path, row.line, str(error))
            else:
                yield TextExample(texts, label)

    def _ids(self, labels: Sequence[str]) -> np.ndarray:
        import numpy as np

        ids = {label: i for i, label in enumerate(self.labels)}
        return np.array([ids[label] for label in labels], np.int32)


def _known_labels(labels: Sequence[str]) -> str:
    shown = ", ".join(map(repr, labels[:_MOST_LABELS_SHOWN]))
    more = len(labels) - _MOST_LABELS_SHOWN
    return f"Known: {shown}{f' and {more} more' if more > 0 else ''}."
