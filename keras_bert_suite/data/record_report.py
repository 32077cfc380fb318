"""What a run that made records says at its end."""

from __future__ import annotations

import os
from typing import Any


def report(
    stats: dict[str, Any], output_dir: str, tokenizer: str, num_bytes: int, seconds: float
) -> str:
    """Says what was written where, what was left out and which command comes next.

    Args:
      stats: what stats.json holds.
      output_dir, tokenizer: as they were given.
      num_bytes: size of the text, 0 where it is not known.
      seconds: what it took.
    """
    parts = [
        f"{_counted(stats[split]['documents'], 'document')}, "
        f"{_counted(stats[split]['sentences'], 'sentence')}, "
        f"{_counted(stats[split]['tokens'], 'token')} in {_counted(count, f'{split} shard')}"
        for split, count in stats["shards"].items()
    ]
    train = os.path.join(output_dir, "train-*.tfrecord")
    held_out = os.path.join(output_dir, "eval-*.tfrecord")
    evaluation = f" --eval_data='{held_out}'" if "eval" in stats["shards"] else ""
    return (
        f"Wrote {'; '.join(parts)} and stats.json to {output_dir} "
        f"({stats['train']['unknown_token_rate']:.3%} unknown tokens).{_left_out(stats)}"
        f"{_unpaired(stats)} Next: "
        f"bin/pretrain.py --train_data='{train}'{evaluation} --tokenizer={tokenizer} "
        f"--output_dir=...\n{f'{num_bytes / 1e6:.1f} MB of text in ' * (num_bytes > 0)}"
        f"{seconds:.0f} s."
    )


def _counted(count: int, noun: str) -> str:
    return f"{count:,} {noun}{'s' * (count != 1)}"


def _unpaired(stats: dict[str, Any]) -> str:
    """What to know of texts from which no pairs of sentences can be drawn."""
    train = stats["train"]
    if train["sentences"] == train["documents"]:
        return (
            " Every document is one sentence, so that no sentence has a next one: separate "
            "documents by blank lines (--documents), or train with --objectives=mlm."
        )
    lone = [f"{split}-*" for split in stats["shards"] if stats[split]["documents"] == 1]
    if not lone:
        return ""
    return (
        f" A random sentence comes from another document, and {' and '.join(lone)} has one alone: "
        "give more text or a larger --eval_fraction, or train with --objectives=mlm."
    )


def _left_out(stats: dict[str, Any]) -> str:
    counts: dict[str, int] = {}
    for split in stats["shards"]:
        for reason, count in stats[split]["dropped_documents"].items():
            counts[reason] = counts.get(reason, 0) + count
    if not counts:
        return ""
    return " Left out: " + ", ".join(f"{n:,} {reason}" for reason, n in counts.items()) + "."
