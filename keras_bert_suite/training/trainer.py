"""The training loop of pre-training and fine-tuning: steps, log, evaluation, state, resume."""

from __future__ import annotations

import math
import signal
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from keras_bert_suite.data.source import BatchSource
from keras_bert_suite.training import strategies
from keras_bert_suite.training.bad_steps import BadSteps
from keras_bert_suite.training.best_state import BestState
from keras_bert_suite.training.checkpoint import (
    DIVERGED_REMEDY,
    TrainingCheckpoint,
    newest_or_none,
)
from keras_bert_suite.training.optimizers import built_optimizer
from keras_bert_suite.training.progress import Progress
from keras_bert_suite.training.signals import StopSignals
from keras_bert_suite.training.step_function import StepFunction
from keras_bert_suite.training.tensorboard import TrainingLog
from keras_bert_suite.training.training_result import TrainingResult
from keras_bert_suite.training.utilisation import Utilisation
from keras_bert_suite.training.workers import WorkerWatch, cluster_of, worker_errors


class Trainer:
    """Trains a compiled model over a BatchSource, from the newest state in `output_dir` if any.

    Args:
      model: a compiled model (made, with its optimizer, in `strategy.scope()`) whose `train_step`
        takes a per-replica batch: a dict with an int32 "padding_mask" (1 = real token).
      source: the batches, a pure function of the step.
      strategy: of `make_strategy`.
      num_steps: optimizer steps of the whole run.
      output_dir: gets checkpoints/, log.jsonl, logs/ (TensorBoard) and report.html.
      steps_per_call: steps in one call of the compiled loop. Ctrl-C waits for a call to end.
      checkpoint_every: steps between two states; None saves only at the end.
      keep_checkpoints: how many states stay.
      log_every: steps between two records.
      evaluate: called with the number of steps done; gives metrics to record, or None.
      evaluate_every: steps between two evaluations.
      keep_best: keeps the state with the lowest held-out loss beside the newest; the last step is
        then evaluated too.
      max_bad_steps: how many steps the model's guard may skip before the run stops; None: any.
      utilisation: of the machine, to record.
      settings: JSON values that must be the same when the run is resumed.
      stop_early: asked with the number of steps done, from the state alone; True ends the run.
      quiet: shows no progress.

    Raises:
      ValueError: a count below 1; an optimizer that was made outside the strategy's scope.
    """

    def __init__(
        self,
        *,
        model,
        source: BatchSource,
        strategy,
        num_steps: int,
        output_dir,
        steps_per_call: int = 5,
        checkpoint_every: int | None = None,
        keep_checkpoints: int = 3,
        log_every: int = 10,
        evaluate: Callable[[int], Mapping[str, float] | None] | None = None,
        evaluate_every: int | None = None,
        keep_best: bool = False,
        max_bad_steps: int | None = None,
        utilisation: Utilisation | None = None,
        settings: Mapping[str, Any] | None = None,
        stop_early: Callable[[int], bool] | None = None,
        quiet: bool = False,
    ):
        self._every = {"log": log_every, "checkpoint": checkpoint_every, "evaluate": evaluate_every}
        counts = {"num_steps": num_steps, "steps_per_call": steps_per_call}
        counts |= {f"{name}_every": n for name, n in self._every.items() if n is not None}
        for name, count in counts.items():
            if count < 1:
                raise ValueError(f"{name} must be at least 1. Received: {name}={count}.")
        self.model, self.source, self.strategy = model, source, strategy
        self.num_steps, self.steps_per_call = num_steps, steps_per_call
        self.output_dir, self.settings = Path(output_dir), dict(settings or {})
        self.evaluate, self.utilisation, self._stop_early = evaluate, utilisation, stop_early
        self._is_chief = strategies.is_chief(strategy)
        self._quiet = quiet or not self._is_chief
        self.over_workers = strategies.WorkerSum(strategy)
        self._optimizer = built_optimizer(model, strategy)
        self.checkpoint = TrainingCheckpoint(
            model,
            self._optimizer,
            directory=self.output_dir / "checkpoints",
            keep=keep_checkpoints,
            is_chief=self._is_chief,
        )
        self._saved_step: int | None = None
        self._best = BestState(model.term_weights) if keep_best else None
        self.bad_steps = BadSteps(model, max_bad_steps)

    def run(self) -> TrainingResult:
        """Trains up to `num_steps`, or until SIGINT or SIGTERM, and leaves a state to resume from.

        Raises:
          ValueError: the loss or a weight is no longer finite (the last good state is named); the
            state in `output_dir` belongs to other settings; workers see different states.
          OSError: a state could not be written; another worker of a multi-worker run is gone.
        """
        with worker_errors(self.strategy), WorkerWatch(cluster_of(self.strategy)):
            result = self._run()
            # All leave together: a worker that is through must not look as if it were gone.
            self.over_workers([0.0])
        return result

    def _run(self) -> TrainingResult:
        started, state = time.monotonic(), self.checkpoint.restore_newest(settings=self.settings)
        first_step = state.step if state else 0
        self._saved_step = first_step if state else None
        if state and self._best:
            self._best.from_json(self._still_there(state.best))
        self._check_workers_agree(first_step)
        log = TrainingLog(self.output_dir, first_step=first_step, is_chief=self._is_chief)
        bar = Progress(num_steps=self.num_steps, first_step=first_step, quiet=self._quiet)
        with StopSignals(bar.message) as signals, bar:
            if state:
                bar.message(f"resumed from {self.checkpoint.path(first_step)}")
            loop = _Loop(self, log, bar, signals)
            try:
                loop.run(first_step, state.data if state else None)
            finally:
                log.close()
                log.report(self.settings, num_steps=self.num_steps)
        return TrainingResult(
            log.history,
            time.monotonic() - started,
            loop.interrupted,
            loop.step,
            loop.tokens_per_second,
            self._best.step if self._best else None,
        )

    def save(self, step: int) -> Path:
        """Saves the state after `step` steps, unless it is there already; gives its directory."""
        if self._saved_step != step:
            best = self._best.to_json() if self._best else None
            self.checkpoint.save(
                step, data=self.source.state(step), settings=self.settings, best=best
            )
            self._saved_step = step
        return self.checkpoint.path(step)

    def save_if_best(self, step: int, metrics: Mapping[str, float]) -> None:
        """Saves the state after `step` steps if its held-out metrics are the best so far."""
        if self._best and self._best.improved(step, metrics):
            self.save(step)

    def restore_best(self) -> int:
        """Puts the best state into the model; gives its step.

        Raises:
          ValueError: no evaluation gave a loss, or the state cannot be read.
        """
        assert self._best
        step = self._best.chosen()
        self.checkpoint.restore(step)
        return step

    def _still_there(self, best: Mapping[str, Any] | None) -> Mapping[str, Any] | None:
        # Gone where the state that took its place was damaged afterwards.
        return best if best and self.checkpoint.path(best["step"]).is_dir() else None

    def done(self, step: int) -> bool:
        return step >= self.num_steps or (self._stop_early is not None and self._stop_early(step))

    def evaluation_due(self, step: int) -> bool:
        last = self._best is not None and step == self.num_steps
        return self.evaluate is not None and (last or self.due("evaluate", step))

    def due(self, what: str, step: int) -> bool:
        every = self._every[what]
        return every is not None and step % every == 0

    def steps_until_due(self, step: int) -> int:
        """How many steps the next call may take without passing something that is due."""
        distances = [n - step % n for n in self._every.values() if n is not None]
        return min([self.steps_per_call, self.num_steps - step, *distances])

    def agreed_signal(self, received: int | None) -> int | None:
        """The signal to stop for: one worker's signal stops all, so that none waits for it."""
        anyone = self.over_workers([1.0 if received else 0.0])[0]
        return (received or signal.SIGTERM.value) if anyone else None

    def _check_workers_agree(self, step: int) -> None:
        count, total, squares = self.over_workers([1.0, step, step * step])
        if total * total != count * squares:
            raise ValueError(
                f"The workers see different training states: this one step {step} in "
                f"{self.checkpoint.directory}. Remedy: give all workers the same output_dir on a "
                "file system that they share."
            )


class _Loop:
    """One run of a Trainer: what changes while it runs."""

    def __init__(self, trainer: Trainer, log: TrainingLog, bar: Progress, signals: StopSignals):
        self.trainer, self.log, self.bar, self.signals = trainer, log, bar, signals
        self.step = 0
        self.interrupted: int | None = None
        # Since the last record; the counts are those of StepFunction.
        self._counts, self._seconds = np.zeros(3, np.int64), 0.0
        self._timed_tokens, self._timed_seconds = 0, 0.0  # in all calls but the first
        self._calls = 0

    @property
    def tokens_per_second(self) -> float:
        return self._timed_tokens / self._timed_seconds if self._timed_seconds else 0.0

    def run(self, first_step: int, data_state: Mapping[str, Any] | None) -> None:
        self.step, trainer = first_step, self.trainer
        if trainer.done(self.step):
            return
        self._check_bad_steps(trainer.bad_steps.count())
        function = StepFunction(
            trainer.model, trainer.source, trainer.strategy, step=first_step, state=data_state
        )
        while not trainer.done(self.step) and not self.interrupted:
            self._call(function)
            self.interrupted = trainer.agreed_signal(self.signals.received)
            if trainer.due("log", self.step) or self.step == trainer.num_steps:
                self._record(function)
            if trainer.evaluation_due(self.step) and not self.interrupted:
                self._evaluate()
            if trainer.due("checkpoint", self.step):
                trainer.save(self.step)
        path = trainer.save(self.step)
        if self.interrupted and self.step < trainer.num_steps:
            self.bar.message(
                f"stopped after step {self.step} of {trainer.num_steps}; the state is saved in "
                f"{path}. The same command goes on from there."
            )

    def _call(self, function: StepFunction) -> None:
        started = time.monotonic()
        count, skipped = self.trainer.steps_until_due(self.step), self.trainer.bad_steps.count()
        counts = function(count)
        loss = function.metrics()["loss"]
        seconds = time.monotonic() - started
        self.step += count
        if not math.isfinite(loss):
            raise ValueError(
                f"The loss is {loss} at or before step {self.step}. Last good state: "
                f"{newest_or_none(self.trainer.checkpoint)}. {DIVERGED_REMEDY}"
            )
        self._check_bad_steps(skipped)
        if self._calls:
            self._timed_tokens += int(counts[0])
            self._timed_seconds += seconds
        self._calls += 1
        self._counts, self._seconds = self._counts + counts, self._seconds + seconds
        self.bar.update(self.step, loss=loss, tokens_per_second=self._counts[0] / self._seconds)

    def _check_bad_steps(self, before: int) -> None:
        """Tells about the steps skipped beyond `before`, and stops where they are too many."""
        bad_steps = self.trainer.bad_steps
        if new := bad_steps.count() - before:
            self.bar.message(
                f"{new} of the steps up to {self.step} skipped: a loss or gradient is bad"
            )
        if bad_steps.too_many():
            raise ValueError(bad_steps.explained(self.trainer.save(self.step)))

    def _record(self, function: StepFunction) -> None:
        tokens, slots, predictions = self.trainer.over_workers(list(self._counts))
        metrics = function.metrics(reset=True) | {
            "learning_rate": function.learning_rate(),
            "tokens_per_second": tokens / self._seconds,
            "padding_share": 1.0 - tokens / slots,
            **self.trainer.bad_steps.metrics(),
        }
        if utilisation := self.trainer.utilisation:
            share = utilisation(tokens=tokens, predictions=predictions, seconds=self._seconds)
            metrics["model_flops_utilisation"] = share
        self._counts, self._seconds = np.zeros(3, np.int64), 0.0
        self.log.write(self.step, metrics)
        self.bar.log(self.step, metrics)

    def _evaluate(self) -> None:
        metrics = self.trainer.evaluate(self.step)
        if metrics:
            metrics = {name: float(value) for name, value in metrics.items()}
            self.log.write(self.step, metrics, kind="eval")
            self.bar.log(self.step, {f"eval {name}": value for name, value in metrics.items()})
            self.trainer.save_if_best(self.step, metrics)
