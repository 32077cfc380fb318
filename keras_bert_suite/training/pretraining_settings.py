"""What a pre-training run is told: every flag of bin/pretrain.py. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
import math

from keras_bert_suite.data.masking_rules import MaskingRules
from keras_bert_suite.settings import check_types, setting
from keras_bert_suite.training.cluster_settings import ClusterSettings
from keras_bert_suite.training.stages import Stage, parse_stages

# Google's BERT warmed up for 10,000 of its 1,000,000 steps; short runs want a larger share.
_WARMUP_SHARE, _MOST_WARMUP = 10, 10_000
_SEQUENCE_LENGTH = 128


@dataclasses.dataclass(frozen=True, kw_only=True)
class PretrainingSettings(ClusterSettings):
    """Settings of a pre-training run, checked; see `help` of each field.

    Raises:
      ValueError: a value of the wrong type or range, or two that exclude each other.
    """

    train_data: str = setting(help="Glob of token records from make_pretraining_data.py.")
    output_dir: str = setting(
        help="Where the model directory, the logs and the states to resume from go.", free=True
    )
    eval_data: str | None = setting(
        None, help="Glob of held-out token records, to evaluate on one fixed mask.", free=True
    )
    tokenizer: str | None = setting(
        None,
        help="Directory of the tokenizer that made the records. By default --init_from's.",
        free=True,  # its vocabulary is compared
    )
    encoder: str | None = setting(
        None,
        help="tiny, mini, small, medium, base, large, a size such as L-2_H-256_A-4, or the path of "
        "a config.json; without it base, or the encoder of --init_from.",
        free=True,  # its fields are compared
    )
    dropout: float | None = setting(
        None,
        help="Of hidden states and attention; by default the encoder's (BERT 0.1, ALBERT 0). Short "
        "runs that see no text twice learn faster with 0.",
        free=True,  # the encoder's fields are compared
    )
    init_from: str | None = setting(
        None, help="Model directory whose weights to start from; without it they are random."
    )
    masking: str = setting("token", help="What is masked together: token, whole_word or span.")
    objectives: tuple[str, ...] = setting(
        ("mlm", "nsp"),
        help="Objectives, separated by commas: mlm, nsp, sop, sbo (with --masking=span).",
    )
    objective_weights: tuple[str, ...] = setting(
        (),
        help="Factors of the objectives' losses in their sum, such as mlm=1,sbo=0.5; one that is "
        "not named has 1.",
    )
    rows: str | None = setting(
        None,
        help="segment_pairs, doc_sentences (whole sentences of one document) or full_sentences "
        "(across documents); by default pairs for nsp and sop, else doc_sentences.",
    )
    packing: bool = setting(
        False,
        help="Fill each row with several short examples that do not see each other; "
        "--global_batch_size then counts filled rows.",
    )
    max_examples_per_row: int | None = setting(
        None, help="For --packing: examples of a row; by default an eighth of --sequence_length."
    )
    mask_fraction: float = setting(0.15, help="Share of a row's tokens to predict.")
    mask_token_share: float = setting(
        0.8, help="Probability that a token to predict becomes [MASK]."
    )
    random_token_share: float = setting(
        0.1, help="Probability that it becomes a random token; otherwise it stays."
    )
    span_p: float = setting(
        0.2, help="For --masking=span: probability that a span ends after a word (geometric)."
    )
    max_span_length: int = setting(10, help="For --masking=span: words of the longest span.")
    masking_passes: int | None = setting(
        None,
        help="Static masking: rows and masks of the first N epochs come again (RoBERTa's baseline: "
        "10). By default every epoch is masked anew.",
    )
    max_predictions: int | None = setting(
        None, help="Most predictions a row; by default the mask fraction of --sequence_length."
    )
    short_sequence_fraction: float = setting(
        0.1, help="Share of rows planned shorter than --sequence_length."
    )
    sequence_length: int = setting(
        _SEQUENCE_LENGTH, help="Tokens of the longest row, special ones included."
    )
    global_batch_size: int = setting(256, help="Rows of an optimizer step, over all replicas.")
    stages: tuple[str, ...] = setting(
        (),
        help="Instead of --sequence_length: LENGTH:SHARE of the steps, such as 128:0.9,512:0.1. "
        "--global_batch_size is of the first; the others have as many tokens a step, or "
        "LENGTH:SHARE:ROWS. Evaluation is at the last length.",
    )
    num_steps: int = setting(100_000, help="Optimizer steps of the whole run.")
    learning_rate: float = setting(1e-4, help="Peak learning rate.")
    warmup_steps: int | None = setting(
        None, help="Steps of the linear warm-up; by default a tenth of --num_steps, at most 10000."
    )
    optimizer: str = setting("adamw", help="adamw, or lamb (for batches of thousands of rows).")
    schedule: str = setting(
        "linear", help="How the rate falls: linear, polynomial, cosine or constant."
    )
    schedule_power: float | None = setting(
        None, help="Exponent of --schedule=polynomial; by default 0.5."
    )
    weight_decay: float = setting(0.01, help="The optimizer's decay of matrices.")
    clip_norm: float = setting(1.0, help="Largest global norm of a gradient; 0: no clipping.")
    ema: float | None = setting(
        None,
        help="Keep a running average of the weights, which keeps this share of itself at each step "
        "(0.999, for instance); the average is evaluated and becomes the model.",
    )
    micro_batches: int = setting(
        1, help="Parts in which a replica computes its batch, to save memory (accumulation)."
    )
    rematerialize: bool = setting(
        False,
        help="Save memory: compute each layer again in the backward pass instead of keeping its "
        "activations; the numbers stay.",
        free=True,
    )
    precision: str = setting("float32", help="float32, bfloat16 or float16 (mixed precision).")
    jit_compile: bool = setting(False, help="Compile forward and backward with XLA.")
    seed: int = setting(0, help="Of weights, dropout, data order and masks.")
    strategy: str = setting(
        "one_device", help="one_device, mirrored, multi_worker or tpu.", free=True
    )
    num_replicas: int | None = setting(
        None, help="Devices of --strategy=mirrored: all GPUs by default, 2 on a CPU.", free=True
    )
    steps_per_call: int = setting(5, help="Steps between two looks at Ctrl-C.", free=True)
    checkpoint_every: int = setting(1000, help="Steps between two states.", free=True)
    keep_checkpoints: int = setting(3, help="How many of the newest states stay.", free=True)
    keep_best: bool = setting(
        False, help="Keep the state with the lowest held-out loss beside the newest.", free=True
    )
    final_model: str = setting(
        "last", help="Which weights become the model: last, or best (with --keep_best).", free=True
    )
    max_bad_steps: int = setting(
        10,
        help="A step whose loss or gradient is not finite, or is a spike, changes no weight; after "
        "more than so many of them the run stops.",
        free=True,
    )
    spike_factor: float | None = setting(
        None, help="A loss above this many times the median of the last 64 is a spike."
    )
    log_every: int = setting(50, help="Steps between two lines of metrics.", free=True)
    peak_flops: float | None = setting(
        None,
        help="FLOP/s that a device's maker states, as the measure of the logged utilisation; by "
        "default the rate of a large matmul, measured at the start (not on a TPU).",
        free=True,
    )
    eval_every: int | None = setting(
        None, help="Steps between two evaluations; by default only at the end.", free=True
    )
    eval_batch_size: int = setting(64, help="Rows evaluated at once.", free=True)

    def __post_init__(self):
        check_types(self)
        _ = self.masking_rules, self.weight_of_objective  # checks them
        self.check_cluster()
        if self.peak_flops is not None and not self.peak_flops > 0:
            raise ValueError(f"peak_flops must be positive. Received: {self.peak_flops}.")
        for name in ("global_batch_size", "num_steps", "micro_batches", "eval_batch_size"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {getattr(self, name)}.")
        if self.max_examples_per_row is not None and not self.packing:
            raise ValueError(
                "max_examples_per_row belongs to --packing. Received: "
                f"max_examples_per_row={self.max_examples_per_row} without packing."
            )
        if self.tokenizer is None and self.init_from is None:
            raise ValueError("--tokenizer is required without --init_from.")
        if self.encoder is not None and self.init_from is not None:
            raise ValueError(
                "--encoder and --init_from exclude each other: --init_from brings its encoder. "
                f"Received: encoder={self.encoder!r}, init_from={self.init_from!r}."
            )
        if self.dropout is not None and self.init_from is not None:
            raise ValueError(
                "--dropout belongs to a new encoder; that of --init_from has its own, in its "
                f"config.json. Received: dropout={self.dropout}, init_from={self.init_from!r}."
            )
        if self.eval_every is not None and self.eval_data is None:
            raise ValueError("--eval_every needs --eval_data. Received: no eval_data.")
        self._check_best()
        if self.stages and self.sequence_length != _SEQUENCE_LENGTH:
            raise ValueError(
                "--sequence_length and --stages exclude each other. Received: "
                f"sequence_length={self.sequence_length}, stages={','.join(self.stages)}."
            )
        self.stage_plan  # noqa: B018 - raises
        if self.num_replicas is not None and self.strategy != "mirrored":
            raise ValueError(
                "num_replicas belongs to --strategy=mirrored alone. Received: "
                f"num_replicas={self.num_replicas} with strategy={self.strategy!r}."
            )

    @property
    def stage_plan(self) -> tuple[Stage, ...]:
        """The stages of the run; without --stages a single one."""
        if not self.stages:
            return (Stage(self.sequence_length, self.global_batch_size, self.num_steps),)
        return parse_stages(
            self.stages, global_batch_size=self.global_batch_size, num_steps=self.num_steps
        )

    def _check_best(self):
        if self.final_model not in ("last", "best"):
            raise ValueError(f"final_model must be last or best. Received: {self.final_model!r}.")
        if self.final_model == "best" and not self.keep_best:
            raise ValueError("--final_model=best needs --keep_best. Received: no keep_best.")
        if self.keep_best and self.eval_every is None:
            raise ValueError(
                "--keep_best needs --eval_data and --eval_every. Received: no eval_every."
            )

    @property
    def masking_rules(self) -> MaskingRules:
        return MaskingRules(
            kind=self.masking,
            fraction=self.mask_fraction,
            mask_token_share=self.mask_token_share,
            random_token_share=self.random_token_share,
            span_p=self.span_p,
            max_span_length=self.max_span_length,
        )

    @property
    def weight_of_objective(self) -> dict[str, float]:
        """Objective -> factor of its loss, for those that have one."""
        weights: dict[str, float] = {}
        for item in self.objective_weights:
            name, _, number = item.partition("=")
            try:
                weight = float(number)
            except ValueError:
                weight = math.nan
            if name not in self.objectives or name in weights or not 0 <= weight < math.inf:
                raise ValueError(
                    "objective_weights must be OBJECTIVE=NUMBER, each of --objectives "
                    f"({','.join(self.objectives)}) at most once, and no number negative. "
                    f"Received: {','.join(self.objective_weights)!r}."
                )
            weights[name] = weight
        return weights

    @property
    def tokenizer_dir(self) -> str:
        return self.tokenizer or self.init_from

    @property
    def warmup(self) -> int:
        """Optimizer steps of the warm-up, the default worked out."""
        if self.warmup_steps is not None:
            return self.warmup_steps
        return min(self.num_steps // _WARMUP_SHARE, _MOST_WARMUP)
