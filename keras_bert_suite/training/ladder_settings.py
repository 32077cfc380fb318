"""What a ladder of pre-training methods is told. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses
from typing import Any

from keras_bert_suite.settings import check_types, setting

# SpanBERT's ladder: each rung changes one thing (Joshi et al. 2019, arXiv:1907.10529, section 5.3
# and table 6).
RUNGS: dict[str, dict[str, Any]] = {
    "subword": {"masking": "token", "objectives": ("mlm", "nsp")},
    "whole_word": {"masking": "whole_word", "objectives": ("mlm", "nsp")},
    "span": {"masking": "span", "objectives": ("mlm", "nsp")},
    "single_segment": {"masking": "span", "objectives": ("mlm",)},
    "sbo": {"masking": "span", "objectives": ("mlm", "sbo")},
}


@dataclasses.dataclass(frozen=True, kw_only=True)
class LadderSettings:
    """Settings of a ladder: flags of bin/ladder.py, keys of its --config.

    Raises:
      ValueError: a value of the wrong type or range.
    """

    text: str = setting(help="Glob of text files to pre-train on, as for make_pretraining_data.py.")
    train_file: str = setting(help="Examples of the downstream task to learn.")
    dev_file: str = setting(help="Examples of it to score.")
    output_dir: str = setting(help="Where everything goes; finished cells in it are kept.")
    tokenizer: str | None = setting(
        None, help="Directory of a tokenizer; by default one is learned from --text."
    )
    vocab_size: int = setting(8000, help="Entries of the vocabulary that is learned.")
    rungs: tuple[str, ...] = setting(tuple(RUNGS), help="Which rungs, separated by commas.")
    seeds: int = setting(3, help="Runs of each rung, with the seeds 0, 1, 2, ...")
    encoder: str = setting("tiny", help="tiny, mini, ... or the path of a config.json.")
    num_steps: int = setting(600, help="Optimizer steps of each pre-training.")
    global_batch_size: int = setting(32, help="Rows of a pre-training step.")
    sequence_length: int = setting(128, help="Tokens of the longest row in pre-training.")
    learning_rate: float = setting(1e-3, help="Peak learning rate of pre-training.")
    epochs: int = setting(3, help="Passes over --train_file.")
    finetune_learning_rate: float = setting(3e-4, help="Peak learning rate on --train_file.")
    finetune_batch_size: int = setting(32, help="Examples of a step on --train_file.")
    finetune_sequence_length: int = setting(64, help="Most tokens of an example.")

    def __post_init__(self):
        check_types(self)
        unknown = [rung for rung in self.rungs if rung not in RUNGS]
        if unknown or not self.rungs or len(set(self.rungs)) != len(self.rungs):
            raise ValueError(
                f"rungs must be of {', '.join(RUNGS)}, each once. "
                f"Received: {','.join(self.rungs)!r}."
            )
        for name in ("seeds", "num_steps", "epochs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name} must be at least 1. Received: {getattr(self, name)}.")
