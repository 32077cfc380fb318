"""Token ids of texts and pairs, made once: what all tasks on whole texts share."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.bucketing import RaggedFeatures
from keras_bert_suite.text.tokenizer import Tokenizer

_TEXTS_PER_CALL = 2048


def text_features(
    texts: Sequence[tuple[str, ...]],
    tokenizer: Tokenizer,
    *,
    max_length: int,
    rows: Mapping[str, np.ndarray],
) -> RaggedFeatures:
    """Tokenizes and packs all texts as the served model does: the same functions, in big batches.

    Args:
      texts: for each row one text, or two for a pair.
      tokenizer: the model's.
      max_length: tokens of the longest row, special tokens included; what is longer is cut.
      rows: one value a row, put beside the tokens.

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
    pack = _packer(tokenizer, width=len(texts[0]), max_length=max_length)
    tokens: dict[str, list[np.ndarray]] = {"token_ids": [], "segment_ids": []}
    lengths, truncated = [], 0
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        columns = zip(*texts[start : start + _TEXTS_PER_CALL], strict=True)
        batch, cut = pack(*(tf.constant(column) for column in columns))
        real = batch["padding_mask"].numpy() > 0
        lengths.append(real.sum(1))
        truncated += int(cut.numpy().sum())
        for key, parts in tokens.items():
            parts.append(batch[key].numpy()[real])
    return RaggedFeatures(
        tokens={key: np.concatenate(parts) for key, parts in tokens.items()},
        lengths=np.concatenate(lengths),
        rows=rows,
        pad_values={"token_ids": tokenizer.pad_id},
        num_truncated=truncated,
    )


@functools.lru_cache(maxsize=4)
def _packer(tokenizer: Tokenizer, *, width: int, max_length: int):
    """A compiled function: `width` string vectors -> (batch, bool [batch]: was cut)."""

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)] * width)
    def pack(*columns):
        ids = [tokenizer.ragged_ids(column) for column in columns]
        whole = sum(one.row_lengths() for one in ids) + 1 + width  # [CLS] and a [SEP] each
        batch = tokenizer.pack(*ids, max_length=max_length)
        return batch, whole > max_length

    return pack
