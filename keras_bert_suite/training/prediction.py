"""Answers of a fine-tuned model: the one path that fine-tuning, evaluation and prediction share."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.checkpoints.model_directory import load_tokenizer
from keras_bert_suite.checkpoints.task_model import load_task_model
from keras_bert_suite.data.bucketing import RaggedFeatures, evaluation_batches
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.training.precision import policy_name


class Predictor:
    """A model that answers a task's examples.

    Args:
      model: with the task's head.
      task: fitted.
      tokenizer: the model's.
      sequence_length: tokens of the longest row; longer ones are cut.
      batch_size: rows computed at once.

    Raises:
      ValueError: a batch size below 1, or a sequence length beyond the model's positions.
    """

    def __init__(
        self,
        model: BertModel,
        *,
        task: Task,
        tokenizer: Tokenizer,
        sequence_length: int,
        batch_size: int = 32,
    ):
        if batch_size < 1:
            raise ValueError(f"batch_size must be at least 1. Received: {batch_size}.")
        check_sequence_length(sequence_length, max_positions=model.encoder.config.max_positions)
        task = task.for_tokenizer(tokenizer)
        self.model, self.task, self.tokenizer = model, task, tokenizer
        self.sequence_length, self.batch_size = sequence_length, batch_size
        self._answers = tf.function(
            lambda batch: task.decode(model(batch, training=False), batch), autograph=False
        )

    @classmethod
    def load(
        cls,
        model_dir: str | os.PathLike,
        *,
        task: str | None = None,
        options: Mapping[str, Any] | None = None,
        sequence_length: int | None = None,
        precision: str = "float32",
        batch_size: int = 32,
        base_dir: str | os.PathLike | None = None,
    ) -> Predictor:
        """Reads what fine-tuning wrote, or a model of transformers that has learnt a task.

        Args:
          model_dir: the model directory.
          task: another task than that of the fine-tuning, see `load_task_model`.
          options: of the task, told anew (other columns, for instance); None values are left out.
          sequence_length: None takes that of the training, or where nobody told it all that the
            model can read.
          precision: of `training/precision.py`.
          batch_size: rows computed at once.
          base_dir: of a tuned part, see `load_model`.

        Raises:
          ValueError: the directory holds no task, or is damaged; an option that does not apply.
        """
        model, loaded, own = load_task_model(
            model_dir,
            task=task,
            options=options,
            dtype=policy_name(precision),
            base_dir=base_dir,
        )
        max_positions = model.encoder.config.max_positions
        stored_length = own.get("sequence_length", max_positions)
        return cls(
            model,
            task=loaded,
            tokenizer=load_tokenizer(model_dir, base_dir=base_dir),
            sequence_length=sequence_length or min(stored_length, max_positions),
            batch_size=batch_size,
        )

    def features(self, examples: Sequence[Any]) -> RaggedFeatures:
        """The token ids of examples, to be kept where they are needed again."""
        return self.task.features(examples, self.tokenizer, max_length=self.sequence_length)

    def predict(
        self, examples: Sequence[Any], *, features: RaggedFeatures | None = None
    ) -> list[dict[str, Any]]:
        """The answers, JSON objects in the order of the examples.

        Args:
          examples: of the task, at least one.
          features: theirs, where they were made before.
        """
        features = self.features(examples) if features is None else features
        dataset, places = evaluation_batches(features, batch_size=self.batch_size)
        # One trace for all shapes of batches: called with the batches themselves, each new shape
        # would be traced anew.
        answers = self._answers.get_concrete_function(dataset.element_spec)
        parts = [{k: v.numpy() for k, v in answers(batch).items()} for batch in dataset]
        decoded = {key: _together([part[key] for part in parts])[places] for key in parts[0]}
        index = features.example_index
        decoded["example_index"] = np.arange(len(examples)) if index is None else index
        return self.task.predictions(decoded, examples)

    def answers(self, records: Sequence[str | Mapping[str, Any]]) -> list[dict[str, Any]]:
        """The answers to records as bin/predict.py takes them, in their order.

            kbs.Predictor.load("topics/").answers(["Where is my card?"])
            kbs.Predictor.load("squad/").answers([{"question": "Who?", "context": "Ada did."}])

        Args:
          records: each a JSON object, or one text, which stands for {"text": text}.

        Raises:
          ValueError: no sequence of such, or the place of a record, from 1, and its fault.
        """
        if isinstance(records, str | bytes | Mapping):
            raise ValueError(
                f"answers takes a list of records. Received one alone: {records!r:.80}"
            )
        examples = []
        for place, record in enumerate(records, start=1):
            record = {"text": record} if isinstance(record, str) else record
            if not isinstance(record, Mapping):
                raise ValueError(f"record {place} must be a text or a dict. Received: {record!r}")
            try:
                examples.append(self.task.example(record))
            except ValueError as error:
                raise ValueError(f"record {place}: {error}") from error
        return self.predict(examples) if examples else []


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """What a model made of a file with targets.

    Attributes:
      metrics: the task's numbers, and what was skipped and cut.
      predictions: JSON objects in the file's order, without the rows skipped.
      bad_rows: the rows skipped, as messages.
    """

    metrics: dict[str, Any]
    predictions: list[dict[str, Any]]
    bad_rows: list[str]


def evaluate_file(
    predictor: Predictor, data_file: str | Path, *, skip_bad_rows: bool = False
) -> Evaluation:
    """Answers a file with targets and scores the answers.

    Raises:
      ValueError: what the task's `read` raises.
    """
    bad_rows = BadRows(skip=skip_bad_rows)
    examples = predictor.task.read(data_file, bad_rows=bad_rows)
    features = predictor.features(examples)
    predictions = predictor.predict(examples, features=features)
    metrics = predictor.task.score(predictions, examples)
    metrics["num_truncated"] = features.num_truncated
    metrics["num_bad_rows"] = len(bad_rows.messages)
    return Evaluation(metrics, predictions, bad_rows.messages)


def check_sequence_length(sequence_length: int, *, max_positions: int) -> None:
    """Raises ValueError unless the model has a position for every token of the longest row."""
    if sequence_length > max_positions:
        raise ValueError(
            f"--sequence_length must not exceed the model's max_positions, {max_positions}. "
            f"Received: {sequence_length}."
        )


def _together(parts: Sequence[np.ndarray]) -> np.ndarray:
    """Arrays of batches one after the other; zeros fill those whose rows are shorter."""
    longest = np.max([part.shape[1:] for part in parts], axis=0)
    missing = [longest - part.shape[1:] for part in parts]
    return np.concatenate(
        [
            np.pad(part, [(0, 0), *((0, int(n)) for n in more)]) if np.any(more) else part
            for part, more in zip(parts, missing, strict=True)
        ]
    )
