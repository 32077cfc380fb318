"""The files of a fine-tuning run, read and tokenized."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from keras_bert_suite.checkpoints.model_directory import load_tokenizer
from keras_bert_suite.data.bucketing import RaggedFeatures
from keras_bert_suite.settings import values_of
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.training.finetune_settings import FinetuneSettings


class FinetuneData:
    """What a run learns from and is scored on.

    Args:
      settings: of the run.
      say: takes lines for people about the files.

    Attributes:
      tokenizer: of --init_from.
      task: fitted to the training file.
      num_train: examples of the training file.
      features: theirs.
      dev_examples: of the first dev file, by which the best weights are chosen; or none.
      other_dev: path -> examples of the other dev files, which are scored at the end.
      bad_rows: those of all files.

    Raises:
      ValueError, OSError: what the task's `fit`, `read` and `features` raise.
    """

    def __init__(self, settings: FinetuneSettings, *, say: Callable[[str], None]):
        self.tokenizer = load_tokenizer(settings.init_from, base_dir=settings.base_dir)
        self.bad_rows = BadRows(skip=settings.skip_bad_rows)
        task = settings.task.for_tokenizer(self.tokenizer)
        task, examples = task.fit(settings.train_file, bad_rows=self.bad_rows)
        self.task = task.for_tokenizer(self.tokenizer)  # the fitted one may be another object
        self.num_train = len(examples)
        dev = {
            path: self.task.read(path, bad_rows=self.bad_rows)
            for path in values_of(settings.dev_file)
            if path
        }
        self.dev_examples: list[Any] = next(iter(dev.values()), [])
        self.other_dev = dict([*dev.items()][1:])
        self.features: RaggedFeatures = self.task.features(
            examples, self.tokenizer, max_length=settings.sequence_length
        )
        num_rows = len(self.features)
        rows = f" in {num_rows:,} rows" if num_rows != self.num_train else ""
        say(
            f"{settings.train_file}: {self.num_train:,} examples{rows} of mean length "
            f"{self.features.lengths.mean():.0f} tokens, {self.features.num_truncated} of them cut "
            f"to {settings.sequence_length}"
        )
        for path, read in [(settings.train_file, examples), *dev.items()]:
            for line in self.task.remarks(read):
                say(f"{path}: {line}")
        for line in self.task.feature_remarks(self.features):
            say(f"{settings.train_file}: {line}")
        if self.bad_rows.messages:
            say(
                f"{len(self.bad_rows.messages)} bad rows skipped, the first: "
                f"{self.bad_rows.messages[0]}"
            )
