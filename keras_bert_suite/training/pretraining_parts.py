"""What a pre-training run is made of: tokenizer, encoder, heads, optimizer, batches."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_bert_suite.checkpoints.model_directory import (
    load_model,
    load_tokenizer,
    read_encoder_config,
)
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.data.pretraining import PretrainingSource
from keras_bert_suite.data.staged_source import StagedSource
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.sentence_order import SentenceOrderHead
from keras_bert_suite.models.heads.span_boundary import SpanBoundaryHead
from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.training.optimizers import make_optimizer
from keras_bert_suite.training.precision import policy_name
from keras_bert_suite.training.pretraining_settings import PretrainingSettings
from keras_bert_suite.training.stages import Stage

HEADS = {
    "mlm": MaskedLMHead,
    "nsp": NextSentenceHead,
    "sop": SentenceOrderHead,
    "sbo": SpanBoundaryHead,
}


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
    own: dict[str, Any] = {
        "vocab_size": tokenizer.vocab_size,
        "pad_token_id": int(tokenizer.pad_id),
    }
    if settings.dropout is not None:
        own |= {"hidden_dropout": settings.dropout, "attention_dropout": settings.dropout}
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
    heads = [HEADS[name].for_encoder(config, dtype=policy) for name in settings.objectives]
    if settings.init_from is not None:
        model = load_model(settings.init_from, dtype=policy, heads=heads)
    else:
        model = BertModel(Encoder(config, dtype=policy), heads, dtype=policy)
    for block in model.encoder.blocks:
        block.rematerialize = settings.rematerialize
    optimizer = make_optimizer(
        learning_rate=settings.learning_rate,
        num_steps=settings.num_steps,
        warmup_steps=settings.warmup,
        weight_decay=settings.weight_decay,
        clip_norm=settings.clip_norm,
        precision=settings.precision,
        optimizer=settings.optimizer,
        schedule=settings.schedule,
        schedule_power=settings.schedule_power,
        ema=settings.ema,
    )
    model.compile(
        optimizer=optimizer,
        term_weights=settings.weight_of_objective,
        micro_batches=settings.micro_batches,
        jit_compile=settings.jit_compile,
        guard_updates=True,
        spike_factor=settings.spike_factor,
    )
    return model


def training_source(
    settings: PretrainingSettings, tokenizer: Tokenizer
) -> PretrainingSource | StagedSource:
    """Gives the batches to train on, stage after stage."""
    stages = settings.stage_plan
    sources = [
        _source(settings, tokenizer, settings.train_data, stage, seed=settings.seed + index)
        for index, stage in enumerate(stages)
    ]
    if len(sources) == 1:
        return sources[0]
    return StagedSource(sources, num_steps=[stage.num_steps for stage in stages])


def evaluation_batches(settings: PretrainingSettings, tokenizer: Tokenizer) -> tf.data.Dataset:
    """Gives the held-out batches, of the last stage's length."""
    last = settings.stage_plan[-1]
    source = _source(settings, tokenizer, settings.eval_data, last, seed=settings.seed)
    return source.evaluation_batches(settings.eval_batch_size)


def _source(
    settings: PretrainingSettings, tokenizer: Tokenizer, files: str, stage: Stage, *, seed: int
) -> PretrainingSource:
    """Gives a stage's batches of the token records `files`, a glob."""
    return PretrainingSource(
        files,
        tokenizer=tokenizer,
        sequence_length=stage.sequence_length,
        global_batch_size=stage.global_batch_size,
        seed=seed,
        objectives=settings.objectives,
        rows=settings.rows,
        packing=settings.packing,
        max_examples_per_row=settings.max_examples_per_row,
        masking=settings.masking_rules,
        masking_passes=settings.masking_passes,
        max_predictions=settings.max_predictions,
        short_sequence_fraction=settings.short_sequence_fraction,
        # XLA compiles anew for every shape of a batch.
        static_shapes=settings.jit_compile or settings.strategy == "tpu",
    )


def check_sizes(settings: PretrainingSettings, config: EncoderConfig, *, num_replicas: int) -> None:
    """Raises ValueError for rows longer than the positions, or a batch that cannot be split."""
    parts = num_replicas * settings.micro_batches
    for stage in settings.stage_plan:
        if stage.sequence_length > config.max_positions:
            raise ValueError(
                "sequence_length must not exceed the encoder's max_positions. Received: "
                f"sequence_length={stage.sequence_length}, max_positions={config.max_positions}. "
                "Remedy: shorter rows, or a config.json with more positions as --encoder."
            )
        if stage.global_batch_size % parts:
            fitting = max(1, round(stage.global_batch_size / parts)) * parts
            raise ValueError(
                "global_batch_size must divide by replicas * micro_batches. Received: "
                f"global_batch_size={stage.global_batch_size} for rows of {stage.sequence_length}, "
                f"{num_replicas} replicas, micro_batches={settings.micro_batches}. Remedy: choose "
                f"global_batch_size={fitting}, in --stages as {stage.sequence_length}:SHARE:"
                f"{fitting}."
            )
    if len(settings.stage_plan) > 1 and settings.strategy == "tpu":
        raise ValueError(
            "--stages does not work with --strategy=tpu, which wants one shape for the whole run. "
            "Remedy: run each length with a command of its own, with --init_from."
        )
