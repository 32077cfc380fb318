"""The interface of a task. Training, evaluation, prediction and export know tasks only by it."""

from __future__ import annotations

import abc
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar

from keras_bert_suite.choices import Choice
from keras_bert_suite.tasks.bad_rows import BadRows

if TYPE_CHECKING:
    import numpy as np
    import tensorflow as tf

    from keras_bert_suite.config import EncoderConfig
    from keras_bert_suite.data.bucketing import RaggedFeatures
    from keras_bert_suite.models.heads.head import Head
    from keras_bert_suite.text.tokenizer import Tokenizer

Example = TypeVar("Example")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Task(Choice, abc.ABC, Generic[Example]):
    """What a model is fine-tuned for: a file's rows in, answers and their score out.

    A new task is a new file in this package with a subclass that has a `name`. Its dataclass fields
    are what a model directory keeps of it (config.json, "keras_bert_suite", "task"); those made
    with `choices.option` are flags of the binaries. The modules of this package import TensorFlow
    inside functions, so that `--help` stays quick.

    Attributes:
      best_by: the key of `score`'s numbers that chooses the best checkpoint; higher is better.
      default_sequence_length: tokens of the longest row where the user does not tell.
      learns: whether there is anything to fine-tune and to score.
      goes_on_with_head: whether fine-tuning begins with the head of the model directory, where it
        has one, and not with a fresh one.
      needs_stored_head: whether fine-tuning must begin with the head of the model directory.
      number: the key of `decode`'s float32 [batch] that is the whole answer, for Regress; "" where
        the answer is no number.
      head_is_remade: whether the head has options that may be told anew and that no weight of it
        depends on.
    """

    what: ClassVar[str] = "task"
    best_by: ClassVar[str]
    default_sequence_length: ClassVar[int] = 128
    learns: ClassVar[bool] = True
    goes_on_with_head: ClassVar[bool] = False
    needs_stored_head: ClassVar[bool] = False
    head_is_remade: ClassVar[bool] = False
    number: ClassVar[str] = ""

    @property
    def head_inputs(self) -> tuple[str, ...]:
        """Batch keys, int32 [batch, n] each, that the head reads beside the tokens to answer."""
        return ()

    @property
    def lacks_labels(self) -> bool:
        """Whether the task has labels and knows none: no training file has fitted it."""
        return getattr(self, "labels", None) == ()

    def for_tokenizer(self, tokenizer: Tokenizer) -> Self:
        """This task with what it needs of the model's tokenizer to give answers (its words).

        Called eagerly, before `features`, `head` and `decode`; before `fit` and `read` too where
        there is a model already, so that a row that it cannot learn is a bad row.

        Raises:
          ValueError: words of the task that the vocabulary cannot write.
        """
        del tokenizer
        return self

    # Files and records -> examples

    @abc.abstractmethod
    def fit(self, path: str | Path, *, bad_rows: BadRows) -> tuple[Self, list[Example]]:
        """Reads a training file.

        Returns:
          (task, examples): the task with what the training file decides (columns, label names), and
          the examples in the file's order.

        Raises:
          ValueError: file, line and reason of the first bad row, unless `bad_rows` skips.
        """

    @abc.abstractmethod
    def read(self, path: str | Path, *, bad_rows: BadRows) -> list[Example]:
        """Reads a file with targets for a fitted task, in its order; raises as `fit` does."""

    def records(
        self, path: str | Path, *, bad_rows: BadRows
    ) -> Iterator[tuple[int | str, dict[str, Any]]]:
        """What a file of the task's own formats asks, for `example`; it needs no targets.

        Returns:
          (place, record) in the file's order: a line from 1, or words that tell the place.

        Raises:
          ValueError: as `fit`.
        """
        from keras_bert_suite.tasks import table_files

        return ((row.line, row.values) for row in table_files.read_rows(path, bad_rows=bad_rows))

    @abc.abstractmethod
    def example(self, record: Mapping[str, Any]) -> Example:
        """One example without target from a JSON object.

        Raises:
          ValueError: the reason why the record has no such example.
        """

    def remarks(self, examples: Sequence[Example]) -> list[str]:
        """Lines for people on what `fit` or `read` gave: what was found out, or changed."""
        del examples
        return []

    # Examples -> batches

    @abc.abstractmethod
    def features(
        self, examples: Sequence[Example], tokenizer: Tokenizer, *, max_length: int
    ) -> RaggedFeatures:
        """Token ids of all examples and, where the examples have them, targets.

        An example may become several rows, which `example_index` then tells.

        Args:
          examples: what `fit`, `read` or `example` gave.
          tokenizer: the model's.
          max_length: tokens of the longest row, special tokens included.
        """

    def feature_remarks(self, features: RaggedFeatures) -> list[str]:
        """Lines for people on what of the training's targets `features` cannot teach."""
        del features
        return []

    # Outputs -> answers

    @abc.abstractmethod
    def head(self, config: EncoderConfig, *, dtype: Any = None) -> Head:
        """A fresh head for an encoder of this config; it owns the loss. The task is fitted."""

    @abc.abstractmethod
    def decode(
        self, outputs: Mapping[str, tf.Tensor], batch: Mapping[str, tf.Tensor]
    ) -> dict[str, tf.Tensor]:
        """Answers as flat tensors, batch first, in the graph: for prediction and serving."""

    @abc.abstractmethod
    def predictions(
        self, decoded: Mapping[str, np.ndarray], examples: Sequence[Example]
    ) -> list[dict[str, Any]]:
        """The decoded rows of all examples as JSON objects, one an example.

        Args:
          decoded: what `decode` gave, [rows, ...], and int32 [rows] "example_index", ascending: the
            example of each row. Where batches differ in a later axis, zeros fill the shorter.
          examples: in the order of "example_index".
        """

    def calibrated(
        self, predictions: Sequence[dict[str, Any]], examples: Sequence[Example]
    ) -> tuple[Self, list[dict[str, Any]]]:
        """The task with what the dev file decides (a threshold), and the predictions under it."""
        del examples
        return self, list(predictions)

    @abc.abstractmethod
    def score(
        self, predictions: Sequence[Mapping[str, Any]], examples: Sequence[Example]
    ) -> dict[str, Any]:
        """The task's official numbers, JSON values, of predictions of examples with targets."""

    @abc.abstractmethod
    def report(self, metrics: Mapping[str, Any]) -> str:
        """`score`'s numbers as a table for people."""

    # Files

    def prediction_files(self, predictions: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        """More files that evaluation leaves behind: name -> JSON value, or text as it stands."""
        del predictions
        return {}

    def score_file(
        self, predictions_file: str, *, data_file: str | None, null_odds_file: str | None
    ) -> dict[str, Any]:
        """`score`'s numbers of answers that some program wrote in the task's official format.

        Raises:
          ValueError: a file that is missing, damaged or not for this task.
        """
        del predictions_file, data_file, null_odds_file
        raise ValueError(
            f"--predictions_file does not apply to the task {self.name!r}, which has no official "
            "format of predictions. Give --model_dir."
        )

    # The served signature

    @abc.abstractmethod
    def signature(self) -> dict[str, dict[str, Any]]:
        """The text signatures to serve: name -> {"inputs": [names of string vectors]}."""

    @property
    def classes(self) -> tuple[str, ...]:
        """The labels whose scores `decode` gives as "scores" [batch, labels], for Classify."""
        return ()

    @abc.abstractmethod
    def serving_features(
        self, texts: Mapping[str, tf.Tensor], tokenizer: Tokenizer, max_length: int
    ) -> dict[str, tf.Tensor]:
        """The model's batch for the signature's inputs (string [batch] each), in the graph.

        Where an example becomes several rows, the batch has int32 [rows] "example_index".
        """

    def served(
        self,
        decoded: Mapping[str, tf.Tensor],
        batch: Mapping[str, tf.Tensor],
        texts: Mapping[str, tf.Tensor],
    ) -> dict[str, tf.Tensor]:
        """What a signature gives back: `decode`'s answers, those of an example's rows joined.

        Args:
          decoded: of `decode`.
          batch: of `serving_features`, or a client's own token ids.
          texts: the signature's inputs; empty where a client sent token ids.
        """
        del batch, texts
        return dict(decoded)
