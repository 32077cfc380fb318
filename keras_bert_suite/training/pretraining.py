"""Pre-training from token records to a model directory, resumable at every state."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import keras

import keras_bert_suite
from keras_bert_suite.checkpoints.model_directory import save_model, write_json
from keras_bert_suite.data.records import vocabulary_fingerprint
from keras_bert_suite.evaluation.language_modeling import unigram_entropy
from keras_bert_suite.settings import compared
from keras_bert_suite.training import pretraining_parts as parts
from keras_bert_suite.training.checkpoint import settings_difference
from keras_bert_suite.training.held_out import HeldOut
from keras_bert_suite.training.pretraining_settings import PretrainingSettings
from keras_bert_suite.training.report import write_report
from keras_bert_suite.training.strategies import WorkerSum, is_chief, make_strategy
from keras_bert_suite.training.trainer import Trainer
from keras_bert_suite.training.training_result import TrainingResult
from keras_bert_suite.training.utilisation import Utilisation, run_peak
from keras_bert_suite.training.weight_average import averaged_weights
from keras_bert_suite.training.workers import cluster_of, worker_errors

_KIND = "pretraining"


@dataclass(frozen=True)
class PretrainingOutcome:
    """What a call of `pretrain` came to.

    Attributes:
      summary: one line for a person: what was written where, and what comes next.
      metrics: what metrics.json holds; None for a run that was interrupted.
      exit_status: 0, or 128 + the signal that stopped the run.
    """

    summary: str
    metrics: dict[str, Any] | None
    exit_status: int = 0


def pretrain(
    settings: PretrainingSettings, *, say: Callable[[str], None] = lambda line: None
) -> PretrainingOutcome:
    """Trains a model from records and leaves a model directory in `settings.output_dir`.

    A run that was interrupted goes on from its newest state; one that is finished is left alone.

    Args:
      settings: of the run.
      say: called with lines for a person.

    Raises:
      ValueError: what the user can repair: settings that do not fit each other, the data, the
        tokenizer or an earlier run in output_dir; a loss that is not finite.
      OSError: something could not be read or written.
    """
    strategy = make_strategy(
        settings.strategy, num_replicas=settings.num_replicas, cluster=settings
    )
    tokenizer = parts.load_tokenizer_of(settings)
    config = parts.encoder_config(settings, tokenizer)
    run_settings = {
        **compared(settings),
        **{f"encoder.{key}": value for key, value in config.to_dict().items()},
        **{f"tokenizer.{key}": v for key, v in vocabulary_fingerprint(tokenizer).items()},
    }
    finished = _finished(settings, run_settings)
    if finished is not None:
        return finished
    parts.check_sizes(settings, config, num_replicas=strategy.num_replicas_in_sync)
    source = parts.training_source(settings, tokenizer)
    held_out = parts.evaluation_batches(settings, tokenizer) if settings.eval_data else None
    keras.utils.set_random_seed(settings.seed)
    with worker_errors(strategy), strategy.scope():
        model = parts.compiled_model(settings, config)
    evaluate = _evaluation_of(model, held_out) if held_out else None
    trainer = _trainer(settings, run_settings, model, source, strategy, evaluate, config)
    weights = sum(math.prod(v.shape) for v in model.trainable_variables)
    say(f"{_plan_line(settings)}; {weights:,} weights learn; {len(source.files)} files of records")
    if settings.packing:
        share, examples = source.real_token_shares()
        say(f"packing: {examples:.1f} examples a row, {share:.1%} of its tokens are real")
    result = trainer.run()
    if result.step < settings.num_steps:
        return PretrainingOutcome(_interrupted_line(settings, result), None, result.exit_status)
    step = trainer.restore_best() if settings.final_model == "best" else result.step
    metrics = _metrics(result, source, evaluate, held_out, step=step)
    if is_chief(strategy):
        with averaged_weights(model):
            save_model(model, settings.output_dir, tokenizer=tokenizer)
        write_json(settings.output_dir, "metrics.json", metrics)
        write_report(
            settings.output_dir,
            history=result.history,
            settings=run_settings,
            num_steps=result.step,
            metrics=metrics,
        )
        # Last: it tells that all the rest is there.
        write_json(settings.output_dir, "training.json", _training_record(run_settings, result))
    WorkerSum(strategy)([0.0])  # the other workers wait for the chief to finish writing
    return PretrainingOutcome(_summary(settings, metrics), metrics)


def _plan_line(settings: PretrainingSettings) -> str:
    stages = settings.stage_plan
    if len(stages) == 1:
        return f"{settings.num_steps:,} steps of {settings.global_batch_size:,} rows"
    return ", then ".join(
        f"{stage.num_steps:,} steps of {stage.global_batch_size:,} rows of {stage.sequence_length}"
        for stage in stages
    )


def _evaluation_of(model, batches) -> Callable[..., dict[str, float]]:
    """Evaluates what will be saved: the average of the weights, where there is one."""
    held_out = HeldOut(model, batches)

    def evaluate(step: int | None = None) -> dict[str, float]:
        with averaged_weights(model):
            return held_out(step)

    return evaluate


def _trainer(settings, run_settings, model, source, strategy, evaluate, config) -> Trainer:
    peak = run_peak(
        strategy,
        cluster=cluster_of(strategy),
        dtype=settings.precision,
        device_flops=settings.peak_flops,
    )
    return Trainer(
        model=model,
        source=source,
        strategy=strategy,
        num_steps=settings.num_steps,
        output_dir=settings.output_dir,
        steps_per_call=settings.steps_per_call,
        checkpoint_every=settings.checkpoint_every,
        keep_checkpoints=settings.keep_checkpoints,
        log_every=settings.log_every,
        evaluate=evaluate,
        evaluate_every=settings.eval_every,
        keep_best=settings.keep_best,
        max_bad_steps=settings.max_bad_steps,
        utilisation=Utilisation(config, peak_flops=peak) if peak else None,
        settings=run_settings,
    )


def _finished(
    settings: PretrainingSettings, run_settings: Mapping[str, Any]
) -> PretrainingOutcome | None:
    """The outcome of a run that finished here before, if it was this one."""
    directory = Path(settings.output_dir)
    path = directory / "training.json"
    if not path.exists():
        return None
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        kind, old = record.get("kind"), record.get("settings")
        metrics = json.loads((directory / "metrics.json").read_text(encoding="utf-8"))
    except (json.JSONDecodeError, UnicodeDecodeError, AttributeError) as error:
        raise ValueError(f"{path} or metrics.json beside it is not ours: {error}.") from error
    if kind != _KIND:
        raise ValueError(
            f"{settings.output_dir} holds the model of another run ({path}). Remedy: choose "
            "another output_dir."
        )
    difference = settings_difference(old, run_settings)
    if difference:
        raise ValueError(
            f"{settings.output_dir} holds a finished run with other settings (old -> new): "
            f"{'; '.join(difference)}. Remedy: choose another output_dir."
        )
    return PretrainingOutcome(f"Finished before: {_summary(settings, metrics)}", metrics)


def _metrics(
    result: TrainingResult, source, evaluate, held_out_batches, *, step: int
) -> dict[str, Any]:
    """What metrics.json holds: held-out losses (nats), accuracies, and the run's pace.

    mlm_perplexity is e to the mlm_loss on the fixed mask: of the masked words given all others. It
    is no perplexity of a text, nor its pseudo-perplexity (evaluation/language_modeling.py).

    The weights are those after `step` steps.
    """
    training = [record for record in result.history if record["kind"] == "train"]
    metrics: dict[str, Any] = {
        "steps": result.step,
        "train_loss": training[-1]["loss"],
        # The first record holds the tracing.
        "tokens_per_second": statistics.median(
            record["tokens_per_second"] for record in training[1:] or training
        ),
        "padding_share": statistics.fmean(r["padding_share"] for r in training),
    }
    if result.best_step is not None:
        metrics |= {"best_step": result.best_step, "model_step": step}
    if evaluate is not None:
        metrics |= _evaluation(result, evaluate, step=step)
        if "mlm_loss" in metrics:
            metrics["mlm_perplexity"] = math.exp(metrics["mlm_loss"])
        metrics["unigram_entropy"] = unigram_entropy(
            held_out_batches, token_counts=source.token_counts()
        )
    return metrics


def _evaluation(
    result: TrainingResult, evaluate: Callable[..., Any], *, step: int
) -> dict[str, float]:
    """The held-out numbers after `step` steps: those of the log, where it was due to evaluate."""
    for record in result.history:
        if record["kind"] == "eval" and record["step"] == step:
            return {name: value for name, value in record.items() if name not in ("kind", "step")}
    return evaluate()


def _training_record(run_settings: Mapping[str, Any], result: TrainingResult) -> dict[str, Any]:
    return {
        "kind": _KIND,
        "version": keras_bert_suite.__version__,
        "settings": dict(run_settings),
        "steps": result.step,
        "seconds": result.seconds,  # of the last part of a resumed run
    }


def _summary(settings: PretrainingSettings, metrics: Mapping[str, Any]) -> str:
    if "mlm_loss" in metrics:
        score = (
            f"held-out MLM loss {metrics['mlm_loss']:.3f} nats "
            f"(unigram entropy {metrics['unigram_entropy']:.3f}"
        )
        if "nsp_accuracy" in metrics:
            score += f", NSP accuracy {metrics['nsp_accuracy']:.3f}"
        score += ")"
    else:
        score = f"training loss {metrics['train_loss']:.3f}"
    return (
        f"Wrote the model after {metrics['steps']:,} steps to {settings.output_dir}: {score}. "
        f"Next: bin/finetune.py --init_from={settings.output_dir} --task=classification "
        "--train_file=... --dev_file=... --output_dir=..."
    )


def _interrupted_line(settings: PretrainingSettings, result: TrainingResult) -> str:
    return (
        f"Stopped after {result.step:,} of {settings.num_steps:,} steps; the state is in "
        f"{Path(settings.output_dir) / 'checkpoints'}. Next: the same command goes on from there."
    )
