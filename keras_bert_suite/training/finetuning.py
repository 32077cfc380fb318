"""Fine-tuning: an encoder, a task and a tuning method become a model directory with a score."""

from __future__ import annotations

import dataclasses
import functools
import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import keras

from keras_bert_suite import __version__
from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.checkpoints.model_directory import (
    load_model,
    read_encoder_config,
    save_model,
    write_json,
)
from keras_bert_suite.checkpoints.task_model import answering
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.data.bucketing import BucketedSource
from keras_bert_suite.files import atomic_write
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.head import Head
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.best_on_dev import BestOnDev
from keras_bert_suite.training.finetune_data import FinetuneData
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.optimizers import make_optimizer
from keras_bert_suite.training.precision import policy_name
from keras_bert_suite.training.prediction import Predictor, check_sequence_length
from keras_bert_suite.training.report import write_report
from keras_bert_suite.training.several_runs import finetune_several
from keras_bert_suite.training.strategies import is_chief, make_strategy
from keras_bert_suite.training.trainer import Trainer
from keras_bert_suite.training.training_result import TrainingResult
from keras_bert_suite.training.workers import worker_errors
from keras_bert_suite.tuning.freezing import freeze_layers


@dataclasses.dataclass(frozen=True)
class FinetuneResult:
    """What a run came to.

    Attributes:
      training: of the Trainer; `training.interrupted` tells that there is no model yet.
      task: fitted.
      metrics: the dev file's numbers for the weights kept; None without a dev file, when
        interrupted, and on workers that are not the chief.
    """

    training: TrainingResult
    task: Task
    metrics: dict[str, Any] | None

    def of_several(self, metrics: dict[str, Any]) -> FinetuneResult:
        """This result with the numbers of all runs, of which it is the best."""
        return dataclasses.replace(self, metrics=metrics)

    def summary(self, settings: FinetuneSettings) -> str:
        """What was reached, what was written where, and what to do next."""
        score = ""
        if self.metrics:
            best_by = self.task.best_by
            score = f", dev {best_by} {self.metrics[best_by]:.4f}"
            if "runs" in self.metrics:
                mean, spread = (self.metrics[k][best_by] for k in ("mean", "deviation"))
                score += f", best of {len(self.metrics['runs'])} runs ({mean:.4f} +- {spread:.4f})"
            for path, numbers in self.metrics.get("other_dev_files", {}).items():
                if best_by in numbers:
                    score += f", {numbers[best_by]:.4f} on {path}"
        pace = self.training.tokens_per_second
        return (
            f"{settings.task.name}, {settings.tuning.name} tuning{score}: {self.training.step:,} "
            f"steps in {self.training.seconds:,.0f} s{f', {pace:,.0f} tokens/s' if pace else ''}. "
            "The model directory is "
            f"{settings.output_dir}. Next: bin/evaluate.py --model_dir={settings.output_dir} "
            "--data_file=FILE --output_dir=DIR, or bin/export_model.py "
            f"--model_dir={settings.output_dir} --export_dir=DIR"
        )


def finetune(
    settings: FinetuneSettings, *, say: Callable[[str], None] = lambda line: None
) -> FinetuneResult:
    """Fine-tunes, keeps the weights that are best on the dev file, writes the model directory.

    The same settings and output_dir go on from the newest training state, to the same weights as a
    run that was never interrupted.

    Args:
      settings: of the run.
      say: takes lines for people while the run is prepared.

    Raises:
      ValueError: a file, the model directory or a number that cannot be used.
      OSError: something could not be read or written.
    """
    if settings.runs() != [settings]:
        return finetune_several(settings, finetune=finetune, say=say)
    strategy = make_strategy(settings.strategy, cluster=settings)
    config = read_encoder_config(settings.init_from, base_dir=settings.base_dir)
    check_sequence_length(settings.sequence_length, max_positions=config.max_positions)
    data = FinetuneData(settings, say=say)
    source = BucketedSource(
        data.features,
        global_batch_size=settings.batch_size,
        seed=settings.seed,
        padded_lengths=_static_lengths(settings),
    )
    num_steps = settings.epochs * source.steps_per_epoch
    with worker_errors(strategy), strategy.scope():
        model = _compiled_model(settings, config, data.task, num_steps=num_steps)
    best = _best_on_dev(settings, model, data) if data.dev_examples and is_chief(strategy) else None
    trainer = Trainer(
        model=model,
        source=source,
        strategy=strategy,
        num_steps=num_steps,
        output_dir=settings.output_dir,
        checkpoint_every=settings.checkpoint_every or source.steps_per_epoch,
        keep_checkpoints=1,
        log_every=max(10, num_steps // 20),
        evaluate=best,
        evaluate_every=source.steps_per_epoch if best else None,
        stop_early=_early_stop(settings, best, source.steps_per_epoch),
        settings=settings.to_compare(),
    )
    say(
        f"{num_steps:,} steps of {settings.batch_size} examples "
        f"({_counted(settings.epochs, 'epoch')}); "
        f"{sum(math.prod(v.shape) for v in model.trainable_variables):,} weights learn"
    )
    training = trainer.run()
    if not trainer.done(training.step) or not is_chief(strategy):
        return FinetuneResult(training, data.task, None)
    if best and best.evaluated_step != training.step:  # a signal came during the last step
        best(training.step)
    metrics = _write(settings, data, model=model, best=best, training=training)
    write_report(
        settings.output_dir,
        history=training.history,
        settings=settings.to_compare(),
        num_steps=num_steps,
        metrics={k: v for k, v in (metrics or {}).items() if isinstance(v, int | float)},
    )
    return FinetuneResult(training, data.task, metrics)


def _compiled_model(
    settings: FinetuneSettings, config: EncoderConfig, task: Task, *, num_steps: int
) -> BertModel:
    """The model to train with its optimizer; call it inside the strategy's scope."""
    keras.utils.set_random_seed(settings.seed)
    policy = policy_name(settings.precision)
    head = task.head(config, dtype=policy)
    if settings.from_scratch:
        model = BertModel(Encoder(config, dtype=policy), [head], dtype=policy)
    else:
        model = _stored_model(settings, task, head, policy=policy)
    base = None if settings.from_scratch else settings.init_from
    model = adapters.apply(model, settings.tuning, base=base)
    if settings.freeze_layers is not None:
        freeze_layers(model, settings.freeze_layers)
    model.compile(
        optimizer=make_optimizer(
            learning_rate=settings.learning_rate,
            num_steps=num_steps,
            warmup_steps=int(settings.warmup_fraction * num_steps),
            weight_decay=settings.weight_decay,
            clip_norm=settings.clip_norm,
            precision=settings.precision,
            layer_decay=settings.layer_decay,
        )
    )
    return model


def _stored_model(settings: FinetuneSettings, task: Task, head: Head, *, policy: str) -> BertModel:
    """What --init_from holds, with the task's head; a tuned part is merged where it can be."""
    heads: list[Head] | None = [head] if task.goes_on_with_head else []
    if task.needs_stored_head:
        heads = None
    model = load_model(settings.init_from, heads=heads, dtype=policy, base_dir=settings.base_dir)
    model = adapters.merged_if_possible(model)
    if task.needs_stored_head:
        return answering(model, task, where=settings.init_from, dtype=policy)
    if task.goes_on_with_head:
        return model
    return BertModel(model.encoder, [head], dtype=policy)


def _early_stop(
    settings: FinetuneSettings, best: BestOnDev | None, steps_per_epoch: int
) -> Callable[[int], bool] | None:
    if best is None or settings.early_stopping is None:
        return None
    return functools.partial(best.exhausted, patience=settings.early_stopping * steps_per_epoch)


def _best_on_dev(settings: FinetuneSettings, model: BertModel, data: FinetuneData) -> BestOnDev:
    return BestOnDev(
        _predictor(settings, model, data),
        data.dev_examples,
        directory=Path(settings.output_dir) / "checkpoints" / "best_on_dev",
        settings=settings.to_compare(),
    )


def _predictor(settings: FinetuneSettings, model: BertModel, data: FinetuneData) -> Predictor:
    return Predictor(
        model,
        task=data.task,
        tokenizer=data.tokenizer,
        sequence_length=settings.sequence_length,
        batch_size=settings.batch_size,
    )


def _write(
    settings: FinetuneSettings,
    data: FinetuneData,
    *,
    model: BertModel,
    best: BestOnDev | None,
    training: TrainingResult,
) -> dict[str, Any] | None:
    """Writes the model directory and what stands beside it; gives the dev file's numbers."""
    output_dir, metrics, task = Path(settings.output_dir), None, data.task
    if best:
        policy = policy_name(settings.precision)
        model = load_model(best.directory, dtype=policy)
        if task.head_is_remade:
            model = answering(model, task, where=best.directory, dtype=policy)
        predictor = _predictor(settings, model, data)
        predictions = predictor.predict(data.dev_examples, features=best.features)
        task, predictions = task.calibrated(predictions, data.dev_examples)
        metrics = task.score(predictions, data.dev_examples)
        if data.other_dev:
            metrics["other_dev_files"] = {
                path: _scored(task, predictor, examples)
                for path, examples in data.other_dev.items()
            }
        with atomic_write(output_dir / "dev_predictions.jsonl") as file:
            for prediction in predictions:
                file.write(json.dumps(prediction, ensure_ascii=False) + "\n")
        write_json(output_dir, "metrics.json", metrics)
    run = {
        "settings": settings.to_json(),
        "keras_bert_suite_version": __version__,
        "num_train_examples": data.num_train,
        "num_train_truncated": data.features.num_truncated,
        "num_bad_rows": len(data.bad_rows.messages),
        "num_steps": training.step,
        "best_step": best.step if best else training.step,
        "seconds_of_last_part": training.seconds,
        "tokens_per_second": training.tokens_per_second,
    }
    write_json(output_dir, "training.json", run)
    save_model(
        model,
        output_dir,
        tokenizer=data.tokenizer,
        extra={
            "task": task.to_config(),
            "tuning": settings.tuning.to_config(),
            "sequence_length": settings.sequence_length,
        },
    )
    return metrics


def _scored(task: Task, predictor: Predictor, examples: list[Any]) -> dict[str, Any]:
    """The numbers of another file; `task` has what the dev file decided."""
    predictor.task = task
    return task.score(predictor.predict(examples), examples)


def _static_lengths(settings: FinetuneSettings) -> list[int] | None:
    """The lengths to pad to on a TPU, which compiles anew for each shape; None elsewhere."""
    if settings.strategy != "tpu":
        return None
    lengths = [32]
    while lengths[-1] < settings.sequence_length:
        lengths.append(2 * lengths[-1])
    return [*lengths[:-1], settings.sequence_length]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"
