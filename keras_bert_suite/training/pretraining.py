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
from keras_bert_suite.checkpoints.model_directory import (
    load_model,
    load_tokenizer,
    read_encoder_config,
    save_model,
    write_json,
)
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.data.pretraining import PretrainingSource
from keras_bert_suite.data.records import vocabulary_fingerprint
from keras_bert_suite.evaluation.language_modeling import unigram_entropy
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.training.checkpoint import settings_difference
from keras_bert_suite.training.held_out import HeldOut
from keras_bert_suite.training.optimizers import make_optimizer
from keras_bert_suite.training.precision import policy_name
from keras_bert_suite.training.pretraining_settings import PretrainingSettings
from keras_bert_suite.training.settings import compared
from keras_bert_suite.training.strategies import WorkerSum, is_chief, make_strategy
from keras_bert_suite.training.trainer import Trainer, TrainingResult

_HEADS = {"mlm": MaskedLMHead, "nsp": NextSentenceHead}
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
    strategy = make_strategy(settings.strategy, num_replicas=settings.num_replicas)
    tokenizer = load_tokenizer_of(settings)
    config = encoder_config(settings, tokenizer)
    run_settings = {
        **compared(settings),
        **_flat("encoder", config.to_dict()),
        **_flat("tokenizer", vocabulary_fingerprint(tokenizer)),
    }
    finished = _finished(settings, run_settings)
    if finished is not None:
        return finished
    _check(settings, config, num_replicas=strategy.num_replicas_in_sync)
    source = _source(settings, tokenizer, settings.train_data, settings.seed)
    held_out_batches = None
    if settings.eval_data:
        held_out = _source(settings, tokenizer, settings.eval_data, settings.seed)
        held_out_batches = held_out.evaluation_batches(settings.eval_batch_size)
    keras.utils.set_random_seed(settings.seed)
    with strategy.scope():
        model = compiled_model(settings, config)
    evaluate = HeldOut(model, held_out_batches) if settings.eval_data else None
    trainer = Trainer(
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
        settings=run_settings,
    )
    weights = sum(math.prod(v.shape) for v in model.trainable_variables)
    say(
        f"{settings.num_steps:,} steps of {settings.global_batch_size:,} rows; {weights:,} weights "
        f"learn; {len(source.files)} files of records"
    )
    result = trainer.run()
    if result.step < settings.num_steps:
        return PretrainingOutcome(_interrupted_line(settings, result), None, result.exit_status)
    metrics = _metrics(result, source, evaluate, held_out_batches)
    if is_chief(strategy):
        save_model(model, settings.output_dir, tokenizer=tokenizer)
        write_json(settings.output_dir, "metrics.json", metrics)
        # Last: it tells that all the rest is there.
        write_json(settings.output_dir, "training.json", _training_record(run_settings, result))
    WorkerSum(strategy)([0.0])  # the other workers wait for the chief to finish writing
    return PretrainingOutcome(_summary(settings, metrics), metrics)


def load_tokenizer_of(settings: PretrainingSettings) -> Tokenizer:
    """Gives the run's tokenizer; with --init_from it must have the model's vocabulary."""
    if settings.init_from is None:
        return Tokenizer.from_directory(settings.tokenizer)
    own = load_tokenizer(settings.init_from)
    if settings.tokenizer is None:
        return own
    tokenizer = Tokenizer.from_directory(settings.tokenizer)
    if tuple(tokenizer.vocabulary) != tuple(own.vocabulary):
        raise ValueError(
            "--tokenizer must have the vocabulary of --init_from. Received: "
            f"{tokenizer.vocab_size} entries in {settings.tokenizer}, {own.vocab_size} in "
            f"{settings.init_from}, not the same. Remedy: leave --tokenizer out."
        )
    return tokenizer


def encoder_config(settings: PretrainingSettings, tokenizer: Tokenizer) -> EncoderConfig:
    """Gives the encoder's shape: of --init_from, of a config.json, or a named size.

    Raises:
      ValueError: an unknown name; a config.json whose vocab_size is not the tokenizer's.
    """
    if settings.init_from is not None:
        return read_encoder_config(settings.init_from)
    own = {"vocab_size": tokenizer.vocab_size, "pad_token_id": int(tokenizer.pad_id)}
    name = settings.encoder or "base"
    if not name.endswith(".json"):
        return EncoderConfig.from_name(name, **own)
    config = EncoderConfig.from_json_file(name)
    stated = json.loads(Path(name).read_text(encoding="utf-8")).get("vocab_size")
    if stated is not None and stated != tokenizer.vocab_size:
        raise ValueError(
            f"{name}: vocab_size must be the tokenizer's, {tokenizer.vocab_size}. "
            f"Received: {stated}. Remedy: leave it out of the file."
        )
    return config.replace(**own)


def compiled_model(settings: PretrainingSettings, config: EncoderConfig) -> BertModel:
    """Gives the model with a head for each objective, compiled. Call it in the strategy's scope."""
    policy = policy_name(settings.precision)
    heads = [_HEADS[name].for_encoder(config, dtype=policy) for name in settings.objectives]
    if settings.init_from is not None:
        model = load_model(settings.init_from, dtype=policy, heads=heads)
    else:
        model = BertModel(Encoder(config, dtype=policy), heads, dtype=policy)
    optimizer = make_optimizer(
        learning_rate=settings.learning_rate,
        num_steps=settings.num_steps,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        precision=settings.precision,
    )
    model.compile(
        optimizer=optimizer,
        micro_batches=settings.micro_batches,
        jit_compile=settings.jit_compile,
    )
    return model


def _source(
    settings: PretrainingSettings, tokenizer: Tokenizer, files: str, seed: int
) -> PretrainingSource:
    return PretrainingSource(
        files,
        tokenizer=tokenizer,
        sequence_length=settings.sequence_length,
        global_batch_size=settings.global_batch_size,
        seed=seed,
        objectives=settings.objectives,
        masking=settings.masking,
        mask_fraction=settings.mask_fraction,
        max_predictions=settings.max_predictions,
        short_sequence_fraction=settings.short_sequence_fraction,
        # XLA compiles anew for every shape of a batch.
        static_shapes=settings.jit_compile or settings.strategy == "tpu",
    )


def _check(settings: PretrainingSettings, config: EncoderConfig, *, num_replicas: int) -> None:
    if settings.sequence_length > config.max_positions:
        raise ValueError(
            "sequence_length must not exceed the encoder's max_positions. Received: "
            f"sequence_length={settings.sequence_length}, max_positions={config.max_positions}. "
            "Remedy: shorter rows, or a config.json with more positions as --encoder."
        )
    parts = num_replicas * settings.micro_batches
    if settings.global_batch_size % parts:
        raise ValueError(
            "global_batch_size must divide by replicas * micro_batches. Received: "
            f"global_batch_size={settings.global_batch_size}, {num_replicas} replicas, "
            f"micro_batches={settings.micro_batches}. Remedy: choose global_batch_size="
            f"{max(1, round(settings.global_batch_size / parts)) * parts}."
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
            f"{settings.output_dir} holds the model of another run ({path}). Remedy: choose another "
            "output_dir."
        )
    difference = settings_difference(old, run_settings)
    if difference:
        raise ValueError(
            f"{settings.output_dir} holds a finished run with other settings (old -> new): "
            f"{'; '.join(difference)}. Remedy: choose another output_dir."
        )
    return PretrainingOutcome(f"Finished before: {_summary(settings, metrics)}", metrics)


def _metrics(result: TrainingResult, source, evaluate, held_out_batches) -> dict[str, Any]:
    """What metrics.json holds: held-out losses (nats), accuracies, and the run's pace."""
    training = [record for record in result.history if record["kind"] == "train"]
    metrics: dict[str, Any] = {
        "steps": result.step,
        "train_loss": training[-1]["loss"],
        # The median is not moved by the first record, which holds the tracing.
        "tokens_per_second": statistics.median(r["tokens_per_second"] for r in training),
        "padding_share": statistics.fmean(r["padding_share"] for r in training),
    }
    if evaluate is not None:
        metrics |= _evaluation(result, evaluate)
        metrics["unigram_entropy"] = unigram_entropy(
            held_out_batches, token_counts=source.token_counts()
        )
    return metrics


def _evaluation(result: TrainingResult, evaluate: HeldOut) -> dict[str, float]:
    """The held-out numbers of the last step: those of the log, where it was due to evaluate."""
    last = result.history[-1]
    if last["kind"] == "eval" and last["step"] == result.step:
        return {name: value for name, value in last.items() if name not in ("kind", "step")}
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


def _flat(prefix: str, values: Mapping[str, Any]) -> dict[str, Any]:
    return {f"{prefix}.{key}": value for key, value in values.items()}
