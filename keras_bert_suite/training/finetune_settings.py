"""What a fine-tuning run is told."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from keras_bert_suite.tasks.task import Task
from keras_bert_suite.tuning.method import TuningMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneSettings:
    """What a fine-tuning run is told.

    Attributes:
      task: not yet fitted; the training file fits it.
      tuning: the tuning method.
      init_from: model directory of the encoder and the tokenizer.
      from_scratch: take the config and the tokenizer of `init_from` but fresh weights.
      train_file, dev_file: of the task; without a dev file the last weights are kept.
      output_dir: gets the model directory and, under checkpoints/, the training state.
      epochs: passes over the training file; None takes the tuning method's.
      learning_rate: the peak; None takes the tuning method's.
      batch_size: rows of an optimizer step, over all replicas.
      sequence_length: tokens of the longest row, special tokens included; longer ones are cut.
      warmup_fraction: share of the steps in which the rate rises.
      weight_decay, clip_norm: of the optimizer.
      seed: of the head, the dropout and the order of the rows.
      strategy: of `training/strategies.py`; precision: of `training/precision.py`.
      skip_bad_rows: count rows that cannot be used instead of stopping.
      checkpoint_every: steps between two training states; None saves one an epoch.

    Raises:
      ValueError: a number out of range, or an output_dir that is init_from.
    """

    task: Task
    tuning: TuningMethod
    init_from: str
    train_file: str
    output_dir: str
    dev_file: str | None = None
    from_scratch: bool = False
    epochs: int | None = None
    learning_rate: float | None = None
    batch_size: int = 32
    sequence_length: int = 128
    warmup_fraction: float = 0.1
    weight_decay: float = 0.01
    clip_norm: float = 1.0
    seed: int = 0
    strategy: str = "one_device"
    precision: str = "float32"
    skip_bad_rows: bool = False
    checkpoint_every: int | None = None

    def __post_init__(self):
        chosen = {
            "epochs": self.tuning.default_epochs,
            "learning_rate": self.tuning.default_learning_rate,
        }
        for name, default in chosen.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        for name in ("epochs", "learning_rate", "batch_size", "sequence_length"):
            if not getattr(self, name) > 0:
                raise ValueError(f"--{name} must be positive. Received: {getattr(self, name)}.")
        if not 0 <= self.warmup_fraction < 1:
            raise ValueError(
                f"--warmup_fraction must be in [0, 1). Received: {self.warmup_fraction}."
            )
        if self.seed < 0:
            raise ValueError(f"--seed must not be negative. Received: {self.seed}.")
        if Path(self.output_dir).resolve() == Path(self.init_from).resolve():
            raise ValueError(
                "--output_dir must not be --init_from: the result would overwrite the model it "
                f"began with. Received: {self.output_dir} for both."
            )

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {"task": self.task.to_config(), "tuning": self.tuning.to_config()}

    def to_compare(self) -> dict[str, Any]:
        """What must be the same when a run is resumed: not where and how often it writes."""
        values = json.loads(json.dumps(self.to_json()))
        return {k: v for k, v in values.items() if k not in ("output_dir", "checkpoint_every")}
