"""Rows for the encoder: special tokens, segments, truncation and padding, inside the graph."""

from __future__ import annotations

import tensorflow as tf


def pack(
    ids_a: tf.RaggedTensor,
    ids_b: tf.RaggedTensor | None = None,
    *,
    cls_id: int,
    sep_id: int,
    pad_id: int,
    max_length: int | None = None,
    separators: int = 1,
    segments: bool = True,
) -> dict[str, tf.Tensor]:
    """Batch of `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, padded to its longest row.

    Rows that would be longer than `max_length` lose pieces at the end of their longer text first,
    see `longest_first`.

    Args:
      ids_a: int32 [batch, (pieces)], first texts.
      ids_b: int32 [batch, (pieces)], second texts, or None.
      cls_id, sep_id, pad_id: ids of the special tokens.
      max_length: most tokens in a row, special tokens included; None for no limit.
      separators: how many [SEP] stand between the two texts; RoBERTa has 2.
      segments: whether the second text is a segment of its own; in RoBERTa it is not.

    Returns:
      token_ids, segment_ids (1 for `b` and its [SEP], if there are segments; 0 elsewhere),
      padding_mask (1 = real token): int32 [batch, longest row].

    Raises:
      ValueError: `max_length` leaves no room for a piece beside the special tokens.

    Source: Devlin et al. 2018, arXiv:1810.04805, figure 2 (input representation); Liu et al. 2019,
    arXiv:1907.11692, and its fairseq code (`<s> a </s></s> b </s>`).
    """
    special = 2 if ids_b is None else 2 + separators
    if max_length is not None and max_length <= special:
        raise ValueError(
            f"max_length must be greater than {special}, the number of special tokens in a row. "
            f"Got: {max_length}"
        )
    if max_length is not None:
        ids_a, ids_b = truncate(ids_a, ids_b, budget=max_length - special)
    batch_size = ids_a.nrows(out_type=tf.int32)
    cls = tf.fill([batch_size, 1], cls_id)
    sep = tf.fill([batch_size, 1], sep_id)
    first = tf.concat([cls, ids_a, sep], axis=1)
    more = [sep] * (separators - 1)
    rows = first if ids_b is None else tf.concat([first, *more, ids_b, sep], axis=1)
    token_ids = rows.to_tensor(default_value=pad_id)
    width = tf.shape(token_ids)[1]
    padding_mask = tf.sequence_mask(rows.row_lengths(), width, dtype=tf.int32)
    segment_ids = tf.zeros_like(padding_mask)
    if segments:
        segment_ids = padding_mask - tf.sequence_mask(first.row_lengths(), width, dtype=tf.int32)
    return {"token_ids": token_ids, "segment_ids": segment_ids, "padding_mask": padding_mask}


def values_at(column: tf.Tensor, values: tf.RaggedTensor, *, width: tf.Tensor) -> tf.Tensor:
    """What belongs to the pieces of a text (offsets, for instance), where they stand in the rows.

    Args:
      column: int32 [batch], of each text's first piece.
      values: int32 [batch, (pieces)].
      width: int32 scalar, of the rows.

    Returns:
      int32 [batch, width], zeros around the values.
    """
    inside = tf.range(width)[None, :] - column[:, None]
    lengths = tf.cast(values.row_lengths(), tf.int32)
    real = (inside >= 0) & (inside < lengths[:, None])
    # One column more, so that there is one to gather when no row has a piece.
    dense = tf.pad(values.to_tensor(), [[0, 0], [0, 1]])
    return tf.where(real, tf.gather(dense, tf.where(real, inside, 0), axis=1, batch_dims=1), 0)


def longest_first(
    length_a: tf.Tensor, length_b: tf.Tensor, *, budget: int
) -> tuple[tf.Tensor, tf.Tensor]:
    """Lengths to keep of two texts that together may have `budget` pieces.

    A text that is no longer than half the budget stays whole and the other one takes what is left.
    Where both must give, each keeps half, and of an odd budget the text that was longer gets the
    odd piece (the second, when they were equal).

    Args:
      length_a, length_b: integers [batch].
      budget: pieces.

    Returns:
      Integers ([batch], [batch]).

    Source: `longest_first` of the `tokenizers` library (Rust). Google's `_truncate_seq_pair` gives
    the odd piece to the first text.
    """
    shorter, longer = tf.minimum(length_a, length_b), tf.maximum(length_a, length_b)
    half = budget // 2
    kept_shorter = tf.minimum(shorter, half)
    kept_longer = tf.minimum(longer, budget - kept_shorter)
    a_is_longer = length_a > length_b
    return (
        tf.where(a_is_longer, kept_longer, kept_shorter),
        tf.where(a_is_longer, kept_shorter, kept_longer),
    )


def truncate(
    ids_a: tf.RaggedTensor, ids_b: tf.RaggedTensor | None, *, budget: int
) -> tuple[tf.RaggedTensor, tf.RaggedTensor | None]:
    """One text or two, int32 [batch, (pieces)], cut to `budget` pieces; see `longest_first`."""
    if ids_b is None:
        return ids_a[:, :budget], None
    keep_a, keep_b = longest_first(ids_a.row_lengths(), ids_b.row_lengths(), budget=budget)
    return _head(ids_a, keep_a), _head(ids_b, keep_b)


def _head(ids: tf.RaggedTensor, keep: tf.Tensor) -> tf.RaggedTensor:
    """The first `keep[i]` pieces of row i; `keep` is no more than the row's length."""
    position = tf.ragged.range(ids.row_lengths()).flat_values
    kept = position < tf.gather(keep, ids.value_rowids())
    return tf.RaggedTensor.from_row_lengths(
        tf.boolean_mask(ids.flat_values, kept), keep, validate=False
    )
