"""The right one of several choices (SWAG, RACE, COPA)."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import error_files, table_files
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer

_CONTEXTS = ("context", "article", "sent1", "premise", "text")
_QUESTIONS = ("question", "sent2")
_CHOICES = ("choices", "options", "endings")
_NUMBERED = ("ending", "choice", "option")  # ending0, ending1, ... as SWAG has them
_LABELS = ("label", "answer")


@dataclasses.dataclass(frozen=True)
class ChoiceExample:
    """A context, its choices as they follow it, and the place of the right one if it is known."""

    context: str
    choices: tuple[str, ...]
    shown: tuple[str, ...]
    label: int | None = None


@dataclasses.dataclass(frozen=True, kw_only=True)
class MultipleChoice(Task[ChoiceExample]):
    """Rows [CLS] context [SEP] question choice [SEP], one a choice; a softmax over them.

    Files are JSON lines with a list of choices, or tables with a column for each (ending0, ...).
    A question with a blank (_) has the choice in it, as in RACE; without a context the question
    takes its place. The right choice is told by its place from 0, by its letter, or by its text.
    The number of choices may differ from row to row.

    Source: Devlin et al. 2018, arXiv:1810.04805, section 4.4 (SWAG); Lai et al. 2017 (RACE).
    """

    name: ClassVar[str] = "multiple_choice"
    best_by: ClassVar[str] = "accuracy"
    number: ClassVar[str] = "choice_score"

    context_column: str | None = option(
        help=f"Column of the contexts (default: the first there of {', '.join(_CONTEXTS)}).",
        adjustable=True,
    )
    question_column: str | None = option(
        help="Column of the questions or first halves of the choices (default: question, sent2, "
        "or none).",
        adjustable=True,
    )
    choices_column: str | None = option(
        help="Column of the lists of choices (default: choices, options, endings, or the columns "
        "ending0, ending1, ...).",
        adjustable=True,
    )
    label_column: str | None = option(
        help="Column of the labels (default: label, or gold_label, score, ... of GLUE's files).",
        adjustable=True,
    )

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[ChoiceExample]]:
        return self, self.read(path, bad_rows=bad_rows)

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[ChoiceExample]:
        examples = []
        for row in table_files.read_rows(path, bad_rows=bad_rows):
            try:
                example = self.example(row.values)
                label = self._label(row.values, example.shown)
            except ValueError as error:
                bad_rows.add(path, row.line, str(error))
            else:
                examples.append(dataclasses.replace(example, label=label))
        if not examples:
            raise ValueError(f"{path}: none of the rows can be used.")
        return examples

    def example(self, record: Mapping[str, Any]) -> ChoiceExample:
        context = self._text(record, self.context_column, _CONTEXTS)
        question = self._text(record, self.question_column, _QUESTIONS)
        shown = self._choices(record)
        if context is None and question is None:
            raise ValueError(
                f"no context ({', '.join(_CONTEXTS)}) and no question "
                f"({', '.join(_QUESTIONS)}). There is: {', '.join(map(repr, record))}."
            )
        if context is None:
            return ChoiceExample(question, shown, shown)
        if question is None:
            return ChoiceExample(context, shown, shown)
        if "_" in question:
            return ChoiceExample(context, tuple(question.replace("_", c, 1) for c in shown), shown)
        return ChoiceExample(context, tuple(f"{question} {choice}" for choice in shown), shown)

    def features(
        self, examples: Sequence[ChoiceExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        import numpy as np

        from keras_bert_suite.data.text_features import text_features

        counts = [len(example.choices) for example in examples]
        rows = {}
        if examples and examples[0].label is not None:
            right = [i == e.label for e in examples for i in range(len(e.choices))]
            rows["choice_targets"] = np.array(right, np.float32)
        features = text_features(
            [(e.context, choice) for e in examples for choice in e.choices],
            tokenizer,
            max_length=max_length,
            rows=rows,
        )
        index = np.repeat(np.arange(len(examples), dtype=np.int32), counts)
        return dataclasses.replace(features, example_index=index, keep_together=True)

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.multiple_choice import MultipleChoiceHead

        return MultipleChoiceHead.for_encoder(config, dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """{"choice_score": float32 [B]}: how well each row's choice fits, before the softmax."""
        import tensorflow as tf

        return {"choice_score": tf.cast(outputs["choice_logits"], tf.float32)[:, 0]}

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[ChoiceExample]
    ) -> list[dict[str, Any]]:
        """{"label": place, "choice": its text, "score": its probability, "scores": of all}."""
        import numpy as np

        borders = np.searchsorted(decoded["example_index"], np.arange(len(examples) + 1))
        answers = []
        for example, begin, end in zip(examples, borders[:-1], borders[1:], strict=True):
            logits = decoded["choice_score"][begin:end].astype(np.float64)
            shares = np.exp(logits - logits.max())
            shares = [float(share) for share in shares / shares.sum()]
            best = int(np.argmax(logits))
            answer: dict[str, Any] = {
                "label": best,
                "choice": example.shown[best],
                "score": shares[best],
                "scores": shares,
            }
            if example.label is not None:
                known = {"context": example.context, "choices": list(example.choices)}
                answer = {**known, "gold": example.label, **answer}
            answers.append(answer)
        return answers

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[ChoiceExample]
    ) -> dict[str, Any]:
        """The share of right choices, and what choosing by chance would give."""
        hits = [p["label"] == e.label for p, e in zip(predictions, examples, strict=True)]
        chance = [1.0 / len(example.choices) for example in examples]
        return {
            "num_examples": len(examples),
            "accuracy": sum(hits) / len(hits),
            "chance_accuracy": sum(chance) / len(chance),
        }

    def prediction_files(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """errors.jsonl: the wrong choices, the surest first."""
        wrong = (one for one in predictions if "gold" in one and one["gold"] != one["label"])
        return {"errors.jsonl": error_files.error_lines(wrong, by="score")}

    def report(self, metrics: Mapping[str, Any]) -> str:
        return (
            f"accuracy: {metrics['accuracy']:.4f}\n"
            f"accuracy by chance: {metrics['chance_accuracy']:.4f}"
        )

    def signature(self) -> dict[str, dict[str, Any]]:
        """A row is a context with one choice; the client compares a question's rows."""
        return {"serving_default": {"inputs": ["text_a", "text_b"]}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        ids = [tokenizer.ragged_ids(texts[name]) for name in ("text_a", "text_b")]
        return tokenizer.pack(*ids, max_length=max_length)

    def _text(
        self, record: Mapping[str, Any], column: str | None, names: Sequence[str]
    ) -> str | None:
        column = column or next((name for name in names if name in record), None)
        return None if column is None else table_files.text_value(record, column)

    def _choices(self, record: Mapping[str, Any]) -> tuple[str, ...]:
        column = self.choices_column or next((name for name in _CHOICES if name in record), None)
        if column is not None:
            choices = table_files.column_value(record, column)
            if not isinstance(choices, list) or not all(isinstance(c, str) for c in choices):
                raise ValueError(f"column {column!r} must hold a list of strings.")
            named = {f"{column}, {place}": choice for place, choice in enumerate(choices)}
        else:
            stem = next((stem for stem in _NUMBERED if f"{stem}0" in record), _CHOICES[0])
            columns = [f"{stem}{place}" for place in range(len(record))]
            named = {name: record[name] for name in columns if name in record}
        if len(named) < 2:
            raise ValueError(f"at least two choices are needed. Received: {len(named)}.")
        return tuple(table_files.text_value(named, name) for name in named)

    def _label(self, record: Mapping[str, Any], choices: Sequence[str]) -> int:
        column = self.label_column or next((n for n in _LABELS if n in record), _LABELS[0])
        label = table_files.label_value(record, column)
        if label in choices:
            return list(choices).index(label)
        place = int(label) if label.isdecimal() else -1
        if len(label) == 1 and label.isalpha() and label.isascii():
            place = ord(label.upper()) - ord("A")
        if not 0 <= place < len(choices):
            raise ValueError(
                f"the label {label!r} in column {column!r} is none of {len(choices)} choices: "
                "neither a place from 0, nor a letter, nor the text of one."
            )
        return place
