"""The pseudo-log-likelihood of texts under a masked language model: each token masked in turn."""

from __future__ import annotations

import itertools
import json
import math
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.checkpoints.model_directory import (
    load_model,
    load_tokenizer,
    read_config,
    write_json,
)
from keras_bert_suite.checkpoints.published_tasks import is_fine_tuned
from keras_bert_suite.files import atomic_write
from keras_bert_suite.training.precision import policy_name
from keras_bert_suite.training.prediction import check_sequence_length

_TEXTS = 256  # tokenized at once


@dataclass(frozen=True)
class TextScore:
    """What a model made of one text.

    Attributes:
      pseudo_log_likelihood: nats; the sum over the tokens of ln p(token | all others of its text).
      num_tokens: special tokens not counted.
      truncated: whether the text was cut to the longest row.
    """

    pseudo_log_likelihood: float
    num_tokens: int
    truncated: bool


def pseudo_log_likelihoods(
    model, tokenizer, texts: Iterable[str], *, sequence_length: int, batch_size: int = 32
) -> Iterator[TextScore]:
    """Gives the score of each text, in their order.

    A text of n tokens costs n rows: every row is the whole text with one token masked, and the
    model is asked for that token.

    Args:
      model: with an "mlm" head.
      tokenizer: the model's.
      texts: any number; they are read as they are needed.
      sequence_length: tokens of the longest row, special ones included.
      batch_size: rows computed at once.

    Source: Salazar et al. 2020, arXiv:1910.14659, section 2 (equation 1).
    """

    @tf.function(
        input_signature=[tf.TensorSpec([None, None], tf.int32)] * 3
        + [tf.TensorSpec([None], tf.int32)],
        autograph=False,
    )
    def score(token_ids, segment_ids, padding_mask, positions):
        batch = {"segment_ids": segment_ids, "padding_mask": padding_mask}
        masked = tf.one_hot(positions, tf.shape(token_ids)[1], on_value=True, off_value=False)
        batch["token_ids"] = tf.where(masked, tokenizer.mask_id, token_ids)
        batch["prediction_positions"] = positions[:, tf.newaxis]
        logits = model(batch, training=False)["mlm_logits"][:, 0]
        targets = tf.gather(token_ids, positions, batch_dims=1)
        return -tf.nn.sparse_softmax_cross_entropy_with_logits(targets, logits)

    specials = tokenizer.num_special_tokens()
    texts = iter(texts)
    while chunk := list(itertools.islice(texts, _TEXTS)):
        ids = tokenizer.ragged_ids(tf.constant(chunk))
        rows = {
            key: value.numpy()
            for key, value in tokenizer.pack(ids, max_length=sequence_length).items()
        }
        counts = rows["padding_mask"].sum(1) - specials
        # One place for each token; the first of a row is [CLS].
        owners = np.repeat(np.arange(len(chunk)), counts)
        places = np.concatenate([1 + np.arange(count) for count in counts]).astype(np.int32)
        totals = np.zeros(len(chunk))
        for first in range(0, len(owners), batch_size):
            owner = owners[first : first + batch_size]
            scores = score(
                *(rows[key][owner] for key in ("token_ids", "segment_ids", "padding_mask")),
                places[first : first + batch_size],
            )
            np.add.at(totals, owner, scores.numpy())
        for total, count, length in zip(totals, counts, ids.row_lengths().numpy(), strict=True):
            yield TextScore(float(total), int(count), bool(length > count))


def is_untuned(model_dir: str | os.PathLike, *, base_dir: str | os.PathLike | None = None) -> bool:
    """Whether a model has learnt no task: its masked-word head is what can be scored.

    Args:
      model_dir: the model directory.
      base_dir: of a tuned part, see `load_model`.
    """
    return not is_fine_tuned(read_config(model_dir, base_dir=base_dir))


def evaluate_text_file(
    model_dir: str | os.PathLike,
    data_file: str,
    output_dir: str | os.PathLike,
    *,
    sequence_length: int | None = None,
    precision: str = "float32",
    batch_size: int = 32,
    base_dir: str | os.PathLike | None = None,
) -> dict[str, Any]:
    """Scores a file of texts, one a line; writes metrics.json and predictions.jsonl.

    Empty lines are left out. The pseudo-perplexity is e to the mean negative pseudo-log-likelihood
    of a token, over all texts.

    Args:
      model_dir: a model directory with a masked-word head.
      data_file: UTF-8.
      output_dir: where to write.
      sequence_length: tokens of the longest row; None takes what the model can.
      precision: of `training/precision.py`.
      batch_size: rows computed at once.
      base_dir: of a tuned part, see `load_model`.

    Returns:
      pseudo_perplexity, pseudo_log_likelihood (nats, of all texts), num_texts, num_tokens and
      num_truncated.

    Raises:
      ValueError: no masked-word head, a file without texts or not in UTF-8, a row too long.
      OSError: something could not be read or written.

    Source: Salazar et al. 2020, arXiv:1910.14659, section 2 (equation 2).
    """
    texts = _lines(data_file)
    model = load_model(model_dir, dtype=policy_name(precision), base_dir=base_dir)
    max_positions = model.encoder.config.max_positions
    sequence_length = sequence_length or max_positions
    check_sequence_length(sequence_length, max_positions=max_positions)
    if "mlm" not in model.heads:
        raise ValueError(
            f"{model_dir} was not fine-tuned for a task, and holds no masked-word head to score a "
            f"text with. Run bin/finetune.py --init_from={model_dir} first."
        )
    scores = list(
        pseudo_log_likelihoods(
            model,
            load_tokenizer(model_dir, base_dir=base_dir),
            texts,
            sequence_length=sequence_length,
            batch_size=batch_size,
        )
    )
    total = math.fsum(score.pseudo_log_likelihood for score in scores)
    num_tokens = sum(score.num_tokens for score in scores)
    if not num_tokens:
        raise ValueError(f"{data_file} must hold texts, one a line. Received: no token.")
    metrics = {
        "pseudo_perplexity": math.exp(-total / num_tokens),
        "pseudo_log_likelihood": total,
        "num_texts": len(scores),
        "num_tokens": num_tokens,
        "num_truncated": sum(score.truncated for score in scores),
    }
    _write(Path(output_dir), texts, scores)
    write_json(output_dir, "metrics.json", metrics)
    return metrics


def report(metrics: dict[str, Any]) -> str:
    """What evaluation says, in one line."""
    cut = f", {metrics['num_truncated']} of them cut" if metrics["num_truncated"] else ""
    return (
        f"pseudo-perplexity {metrics['pseudo_perplexity']:.4f} over {metrics['num_tokens']:,} "
        f"tokens of {metrics['num_texts']:,} texts{cut} (each token masked in turn)"
    )


def _lines(path: str) -> list[str]:
    with open(path, encoding="utf-8") as file:
        try:
            return [line.strip() for line in file if line.strip()]
        except UnicodeDecodeError as error:
            raise ValueError(f"{path} must be text in UTF-8: {error}.") from error


def _write(output_dir: Path, texts: Sequence[str], scores: Sequence[TextScore]) -> None:
    with atomic_write(output_dir / "predictions.jsonl") as file:
        for text, score in zip(texts, scores, strict=True):
            line = {
                "text": text,
                "pseudo_log_likelihood": score.pseudo_log_likelihood,
                "num_tokens": score.num_tokens,
            }
            file.write(json.dumps(line, ensure_ascii=False) + "\n")
