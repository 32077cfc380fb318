"""Rows of texts that have masks, inside the graph."""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.bucketing import RaggedFeatures
from keras_bert_suite.text.tokenizer import Tokenizer

_TEXTS_PER_CALL = 1024
_MASK = r"\[MASK\]|<mask>"
# What stands for a mask while a text is parted: no text has it, for it is not UTF-8.
_MARK = b"\xff\xfeMASK\xff"


def mask_rows(texts: tf.Tensor, tokenizer: Tokenizer, *, max_length: int) -> dict[str, tf.Tensor]:
    """`[CLS] text [SEP]` with the mask token where the text says [MASK] or <mask>.

    Elsewhere these words are text like any other.

    Args:
      texts: string [batch], any bytes.
      tokenizer: the model's.
      max_length: tokens of the longest row.

    Returns:
      int32 [batch, length] `token_ids`, `segment_ids`, `padding_mask`; int32 [batch, masks]
      `prediction_positions`, the masks' columns, 0 where a row has no more; bool [batch] `cut`.
    """
    parts = tf.strings.split(tf.strings.regex_replace(texts, _MASK, _MARK), sep=_MARK)
    ids = tokenizer.ragged_ids(parts.flat_values)
    mask = tf.fill([ids.nrows(out_type=tf.int32), 1], tokenizer.mask_id)
    # Each part and a mask behind it; that behind the last is one too many.
    masked = parts.with_flat_values(tf.concat([ids, mask], axis=1)).merge_dims(1, 2)[:, :-1]
    rows = tokenizer.pack(masked, max_length=max_length)
    is_mask = rows["token_ids"] == tokenizer.mask_id
    columns = tf.broadcast_to(tf.range(tf.shape(is_mask)[1])[None, :], tf.shape(is_mask))
    whole = masked.row_lengths() + tokenizer.num_special_tokens()
    return {
        **rows,
        "prediction_positions": tf.ragged.boolean_mask(columns, is_mask).to_tensor(0),
        "cut": whole > max_length,
    }


def mask_features(texts: Sequence[str], tokenizer: Tokenizer, *, max_length: int) -> RaggedFeatures:
    """The rows of `mask_rows` in memory."""
    make = _maker(tokenizer, max_length=max_length)
    tokens: dict[str, list[np.ndarray]] = {"token_ids": [], "segment_ids": []}
    lengths, positions, cut = [], [], 0
    for start in range(0, len(texts), _TEXTS_PER_CALL):
        rows = {
            key: value.numpy()
            for key, value in make(tf.constant(texts[start : start + _TEXTS_PER_CALL])).items()
        }
        real = rows["padding_mask"] > 0
        lengths.append(real.sum(1).astype(np.int32))
        positions.append(rows["prediction_positions"])
        cut += int(rows["cut"].sum())
        for key, parts in tokens.items():
            parts.append(rows[key][real])
    most = max([1, *(part.shape[1] for part in positions)])
    padded = [np.pad(part, [(0, 0), (0, most - part.shape[1])]) for part in positions]
    return RaggedFeatures(
        tokens={key: np.concatenate(parts) for key, parts in tokens.items()},
        lengths=np.concatenate(lengths),
        rows={"prediction_positions": np.concatenate(padded)},
        pad_values={"token_ids": tokenizer.pad_id},
        num_truncated=cut,
    )


@functools.lru_cache(maxsize=4)
def _maker(tokenizer: Tokenizer, *, max_length: int):
    return tf.function(
        functools.partial(mask_rows, tokenizer=tokenizer, max_length=max_length),
        input_signature=[tf.TensorSpec([None], tf.string)],
        autograph=False,
    )
