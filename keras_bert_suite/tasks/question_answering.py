"""Extractive question answering: the answer is a piece of the context, or there is none."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Self

from keras_bert_suite.choices import option
from keras_bert_suite.tasks import question_answering_scores as scores
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.squad_files import (
    QuestionExample,
    question_of,
    read_questions,
    read_records,
)
from keras_bert_suite.tasks.task import Task

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.tasks.graph.question_answering_windows import Windows
    from keras_bert_suite.text.tokenizer import Tokenizer


@dataclasses.dataclass(frozen=True, kw_only=True)
class QuestionAnswering(Task[QuestionExample]):
    """SQuAD 1.1 and 2.0: [CLS] question [SEP] context [SEP]; the answer's first and last token.

    Contexts longer than a row become overlapping windows. Answers are slices of the context by
    character offset. Whether a question may have no answer, the training file decides: if one of
    its questions has none. Then (or where `null_threshold` is told) the answer is "" where the null
    odds (the score of "no answer" less that of the best answer) exceed `null_threshold`, which the
    dev file's best F1 sets.

    Attributes:
      unanswerable: whether a question may have no answer.

    Source: Devlin et al. 2018, arXiv:1810.04805, sections 4.2 and 4.3.
    """

    name: ClassVar[str] = "qa"
    best_by: ClassVar[str] = "f1"
    default_sequence_length: ClassVar[int] = 384

    max_question_tokens: int = option(
        64, kind="integer", help="Tokens of a question; what is longer is cut.", adjustable=True
    )
    doc_stride: int = option(
        128,
        kind="integer",
        help="Tokens from the beginning of one window of a long context to the next's.",
        adjustable=True,
    )
    max_answer_tokens: int = option(
        30, kind="integer", help="Tokens of the longest answer.", adjustable=True
    )
    n_best: int = option(
        20, kind="integer", help="Answers to give of each question, best first.", adjustable=True
    )
    null_threshold: float | None = option(
        kind="float",
        help="Null odds beyond which a question is left unanswered (default: the dev file's best; "
        "0 without one, none where every question of the training had an answer; with "
        "--predictions_file 1).",
        adjustable=True,
    )
    unanswerable: bool = False

    def __post_init__(self):
        for key in ("max_question_tokens", "doc_stride", "max_answer_tokens", "n_best"):
            if getattr(self, key) < 1:
                raise ValueError(f"--{key} must be at least 1. Received: {getattr(self, key)}.")

    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[QuestionExample]]:
        examples = []
        for example in read_questions(path, bad_rows=bad_rows):
            if example.lost:
                bad_rows.leave_out(
                    path,
                    f"question {example.id!r}",
                    f"none of its answers ({example.answers[0]!r}) stands in the context where it "
                    "is said to, or near; it is not learnt.",
                )
            else:
                examples.append(example)
        if not examples:
            raise ValueError(
                f"{path}: no question has an answer that stands in its context where it is said "
                f"to. The first: {bad_rows.messages[0]}"
            )
        unanswerable = any(not example.answers for example in examples)
        return dataclasses.replace(self, unanswerable=unanswerable), examples

    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[QuestionExample]:
        return read_questions(path, bad_rows=bad_rows)

    def records(
        self, path: str | Path, *, bad_rows: BadRows
    ) -> Iterator[tuple[int | str, dict[str, Any]]]:
        return read_records(path, bad_rows=bad_rows)

    def example(self, record: Mapping[str, Any]) -> QuestionExample:
        return question_of(record)

    def features(
        self, examples: Sequence[QuestionExample], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        from keras_bert_suite.tasks.graph.question_answering_features import question_features

        return question_features(examples, tokenizer, self._windows(max_length))

    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        from keras_bert_suite.models.heads.span_question import SpanQuestionHead

        return SpanQuestionHead.for_encoder(config, dtype=dtype)

    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """The best answers of each row: see `question_answering_windows.candidates`."""
        from keras_bert_suite.tasks.graph.question_answering_windows import candidates

        return candidates(
            outputs, batch, n_best=self.n_best, max_answer_tokens=self.max_answer_tokens
        )

    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[QuestionExample]
    ) -> list[dict[str, Any]]:
        """{"answer", "score", "start", "end", "null_odds", "n_best": [{"text", "score", ...}]}.

        `start` and `end` are characters [start, end) of the context, both 0 where the answer is "".
        Scores are probabilities among the n best answers and, if there may be none, "no answer".
        Where the answers are known, "id", "question" and "gold" come first.
        """
        from keras_bert_suite.tasks.graph.question_answering_features import join_rows

        joined = join_rows(decoded, examples)
        return [
            self._answered(scores.prediction(example, row, unanswerable=self.unanswerable))
            for example, row in zip(examples, joined, strict=True)
        ]

    def calibrated(
        self, predictions: Sequence[dict[str, Any]], examples: Sequence[QuestionExample]
    ) -> tuple[Self, list[dict[str, Any]]]:
        if not self.unanswerable or self.null_threshold is not None:
            return self, list(predictions)
        threshold = scores.best_threshold(predictions, examples)
        task = dataclasses.replace(self, null_threshold=threshold)
        return task, [task._answered(prediction) for prediction in predictions]

    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[QuestionExample]
    ) -> dict[str, Any]:
        """SQuAD 2.0's numbers, or 1.1's where every question has an answer; percentages."""
        if self.unanswerable or any(not example.answers for example in examples):
            return scores.scores_v2(predictions, examples, threshold=self._threshold)
        return scores.scores_v1(predictions, examples)

    def report(self, metrics: Mapping[str, Any]) -> str:
        return scores.report(metrics)

    def prediction_files(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """The official scripts' files: predictions.json, null_odds.json; n_best.json beside."""
        return {
            "predictions.json": {p["id"]: p["answer"] for p in predictions},
            "null_odds.json": {p["id"]: p["null_odds"] for p in predictions},
            "n_best.json": {p["id"]: p["n_best"] for p in predictions},
        }

    def score_file(
        self, predictions_file: str, *, data_file: str | None, null_odds_file: str | None
    ) -> dict[str, Any]:
        return scores.score_file(
            predictions_file,
            data_file=data_file,
            null_odds_file=null_odds_file,
            null_threshold=1.0 if self.null_threshold is None else self.null_threshold,
        )

    def signature(self) -> dict[str, dict[str, Any]]:
        return {"serving_default": {"inputs": ["question", "context"]}}

    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        windows = self._windows(max_length)
        return windows.make(texts["question"], texts["context"], tokenizer)[0]

    def served(
        self,
        decoded: Mapping[str, tf.Tensor],
        batch: Mapping[str, tf.Tensor],
        texts: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """{"answer" string, "score", "start", "end", "null_score"}, [examples] each.

        Of token ids there is no "answer", and `start` and `end` are columns.
        """
        from keras_bert_suite.tasks.graph.question_answering_windows import served

        return served(
            decoded,
            batch,
            texts.get("context"),
            null_threshold=self._threshold,
        )

    @property
    def _threshold(self) -> float | None:
        """The null odds beyond which a question has no answer; None where each has one."""
        if self.null_threshold is None and self.unanswerable:
            return 0.0
        return self.null_threshold

    def _answered(self, prediction: dict[str, Any]) -> dict[str, Any]:
        return scores.answered(prediction, null_threshold=self._threshold)

    def _windows(self, max_length: int) -> Windows:
        from keras_bert_suite.tasks.graph.question_answering_windows import Windows

        return Windows(max_length, self.max_question_tokens, self.doc_stride)
