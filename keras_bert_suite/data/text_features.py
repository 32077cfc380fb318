"""Token ids of texts and pairs, made once: what all tasks on whole texts share."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.bucketing import RaggedFeatures
from keras_bert_suite.text.tokenizer import Tokenizer

_TEXTS_PER_CALL = 2048

Frame = Callable[[Sequence[tf.Tensor], Tokenizer, int], dict[str, tf.Tensor]]


def text_features(
    texts: Sequence[tuple[str, ...]],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    rows: Mapping[str, np.ndarray],
    frame: Frame | None = None,
) -> RaggedFeatures:
    """Tokenizes and packs all texts as the served model does: the same functions, in big batches.

    Args:
      texts: for each row one text, or two for a pair.
      tokenizer: the model's.
      max_length: tokens of the longest row, special tokens included; what is longer is cut.
      rows: one value a row, put beside the tokens.
      frame: how texts become rows, a hashable function like `packed_texts`, which None stands for.

    Returns:
      RaggedFeatures with "token_ids" and "segment_ids".

    Raises:
      ValueError: single texts and pairs among each other.
    """
    if len({len(row) for row in texts}) > 1:
        raise ValueError(
            "Rows that are computed together must all be single texts, or all be pairs. Say by "
            "--text_column, or by --text_a_column with --text_b_column, which are meant."
        )
    make = _compiled(frame or packed_texts, tokenizer, width=len(texts[0]), max_length=max_length)
    tokens: dict[str, list[np.ndarray]] = {"token_ids": [], "segment_ids": []}
    lengths, truncated = [], 0
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        columns = zip(*texts[start : start + _TEXTS_PER_CALL], strict=True)
        batch = make(*(tf.constant(column) for column in columns))
        real = batch["padding_mask"].numpy() > 0
        lengths.append(real.sum(1))
        truncated += int(batch["cut"].numpy().sum())
        for key, parts in tokens.items():
            parts.append(batch[key].numpy()[real])
    return RaggedFeatures(
        tokens={key: np.concatenate(parts) for key, parts in tokens.items()},
        lengths=np.concatenate(lengths),
        rows=rows,
        pad_values={"token_ids": tokenizer.pad_id},
        num_truncated=truncated,
    )


def packed_texts(
    texts: Sequence[tf.Tensor], tokenizer: Tokenizer, max_length: int
) -> dict[str, tf.Tensor]:
    """`Tokenizer.pack`'s batch of one string vector or two, and bool [batch] "cut"."""
    ids = [tokenizer.ragged_ids(column) for column in texts]
    whole = sum(one.row_lengths() for one in ids)
    whole += tokenizer.num_special_tokens(pair=len(texts) == 2)
    return {**tokenizer.pack(*ids, max_length=max_length), "cut": whole > max_length}


@functools.lru_cache(maxsize=4)
def _compiled(frame: Frame, tokenizer: Tokenizer, *, width: int, max_length: int):
    """`frame` as a compiled function of `width` string vectors."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * width, autograph=False)
    def framed(*columns):
        return frame(columns, tokenizer, max_length)

    return framed
