"""What a fine-tuning run is told. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from keras_bert_suite.settings import check_types, setting, values_of
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.cluster_settings import ClusterSettings
from keras_bert_suite.tuning.method import TuningMethod


@dataclasses.dataclass(frozen=True, kw_only=True)
class RunSettings(ClusterSettings):
    """What every task and tuning method is told: flags of bin/finetune.py, keys of its --config.

    Raises:
      ValueError: a value of the wrong type or range, or an output_dir that is init_from.
    """

    init_from: str = setting(help="Model directory to begin with: encoder and tokenizer.")
    base_dir: str | None = setting(
        None,
        help="Where --init_from is the tuned part of a model (LoRA, adapters, ...): the directory "
        "of its base, where that is not at the place that the tuned part names.",
    )
    train_file: str = setting(help="Examples to learn.")
    output_dir: str = setting(help="Where the result and the training state go.", free=True)
    dev_file: str | None = setting(
        None,
        several=True,
        help="Examples to choose the best weights by; without it the last are kept. Several, comma "
        "separated: the first chooses, the others are scored at the end (MNLI's two sets).",
    )
    from_scratch: bool = setting(
        False, help="Take --init_from's config and tokenizer, but fresh weights."
    )
    epochs: int | None = setting(
        None, help="Passes over --train_file (default: the tuning method's; full: 3)."
    )
    learning_rate: float | None = setting(
        None,
        several=True,
        help="The peak (default: the tuning method's; full: 3e-5). Several, comma separated: a run "
        "for each, and the best on --dev_file is the result.",
    )
    batch_size: int = setting(32, help="Examples of a step, over all replicas.")
    sequence_length: int | None = setting(
        None,
        help="Most tokens of a row; longer texts are cut or parted (default: the task's; "
        "classification: 128, qa: 384).",
    )
    warmup_fraction: float = setting(
        0.1, help="Share of the steps in which the learning rate rises."
    )
    weight_decay: float = setting(0.01, help="AdamW's decay of matrices.")
    clip_norm: float = setting(1.0, help="Largest global norm of a gradient; 0: no clipping.")
    layer_decay: float = setting(
        1.0, help="Factor of the learning rate from each layer to the one below it (0.9, say)."
    )
    freeze_layers: int | None = setting(
        None, help="The embeddings and so many layers above them do not learn; 0: the embeddings."
    )
    early_stopping: int | None = setting(
        None, help="Epochs without a better score on --dev_file before the run ends."
    )
    seed: int = setting(
        0,
        several=True,
        help="Of the head, the dropout and the order of the examples. Several, comma separated: a "
        "run for each; metrics.json has mean and deviation, the best on --dev_file is the result.",
    )
    strategy: str = setting(
        "one_device", help="one_device, mirrored, multi_worker or tpu.", free=True
    )
    precision: str = setting("float32", help="float32, bfloat16 or float16 (mixed precision).")
    skip_bad_rows: bool = setting(False, help="Count rows that cannot be used instead of stopping.")
    checkpoint_every: int | None = setting(
        None, help="Steps between two training states (default: one an epoch).", free=True
    )

    def __post_init__(self):
        check_types(self)
        self.check_cluster()
        positive = "epochs learning_rate batch_size sequence_length early_stopping layer_decay"
        for name in positive.split():
            for value in values_of(getattr(self, name)):
                if value is not None and not value > 0:
                    raise ValueError(f"--{name} must be positive. Received: {value}.")
        if not 0 <= self.warmup_fraction < 1:
            raise ValueError(
                f"--warmup_fraction must be in [0, 1). Received: {self.warmup_fraction}."
            )
        for name in ("seed", "freeze_layers"):
            for value in values_of(getattr(self, name)):
                if value is not None and value < 0:
                    raise ValueError(f"--{name} must not be negative. Received: {value}.")
        self._check_dev_file()
        if Path(self.output_dir).resolve() == Path(self.init_from).resolve():
            raise ValueError(
                "--output_dir must not be --init_from: the result would overwrite the model it "
                f"began with. Received: {self.output_dir} for both."
            )

    def _check_dev_file(self) -> None:
        several = [n for n in ("learning_rate", "seed") if isinstance(getattr(self, n), tuple)]
        wanting = several + ["early_stopping"] * (self.early_stopping is not None)
        if wanting and not self.dev_file:
            raise ValueError(f"--{wanting[0]} as it is told needs --dev_file to compare by.")
        if wanting and self.strategy == "multi_worker":
            raise ValueError(
                f"--{wanting[0]} as it is told does not go with --strategy=multi_worker: one "
                "worker alone knows the scores."
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class FinetuneSettings(RunSettings):
    """The settings of one run.

    Attributes:
      task: not yet fitted; the training file fits it.
      tuning: the tuning method.

    Where they are None, epochs and learning_rate are the tuning method's, sequence_length the
    task's.
    """

    task: Task
    tuning: TuningMethod

    def __post_init__(self):
        defaults = {
            "epochs": self.tuning.default_epochs,
            "learning_rate": self.tuning.default_learning_rate,
            "sequence_length": self.task.default_sequence_length,
        }
        for name, default in defaults.items():
            if getattr(self, name) is None:
                object.__setattr__(self, name, default)
        super().__post_init__()

    def runs(self) -> list[FinetuneSettings]:
        """One for each learning rate and seed, with its own directory; else itself alone."""
        if not isinstance(self.learning_rate, tuple) and not isinstance(self.seed, tuple):
            return [self]
        return [
            dataclasses.replace(
                self,
                learning_rate=rate,
                seed=seed,
                output_dir=str(
                    Path(self.output_dir) / "runs" / f"learning_rate_{rate:g}_seed_{seed}"
                ),
            )
            for rate in values_of(self.learning_rate)
            for seed in values_of(self.seed)
        ]

    def to_json(self) -> dict[str, Any]:
        """The settings as JSON values."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return values | {"task": self.task.to_config(), "tuning": self.tuning.to_config()}

    def to_compare(self) -> dict[str, Any]:
        """What must be the same when a run is resumed: all that the weights depend on."""
        free = {f.name for f in dataclasses.fields(self) if f.metadata.get("free")}
        values = json.loads(json.dumps(self.to_json()))
        return {key: value for key, value in values.items() if key not in free}
