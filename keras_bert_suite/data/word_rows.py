"""Rows for the encoder from sentences that are split in words already, inside the graph."""

from __future__ import annotations

from typing import NamedTuple

import tensorflow as tf

from keras_bert_suite.text.tokenizer import Tokenizer


class WordRows(NamedTuple):
    """Sentences as rows; a long one is several rows, which overlap.

    Attributes:
      token_ids: int32 [rows, (tokens)], framed: [CLS] pieces [SEP].
      words: int32 [rows, (tokens)], the word that the piece belongs to, counted through all
        sentences. -1 for the special tokens, and for pieces that are there for their neighbours
        only: each piece counts in one row, where more stands around it.
      is_first: bool [rows, (tokens)], whether the piece is its word's first and counts here.
      sentences: int32 [rows], the sentence of each row.
    """

    token_ids: tf.RaggedTensor
    words: tf.RaggedTensor
    is_first: tf.RaggedTensor
    sentences: tf.Tensor


def word_rows(words: tf.RaggedTensor, tokenizer: Tokenizer, *, max_length: int) -> WordRows:
    """Tokenizes sentences word by word and lays them out.

    A word without any piece (a control character, say) becomes [UNK], so that every word has a
    first piece. Of a sentence with more pieces than a row holds, the rows overlap by a quarter of
    their length, and a piece near a border counts in the row that shows more around it.

    Args:
      words: string [sentences, (words)].
      tokenizer: the model's.
      max_length: tokens of the longest row, special tokens included.

    Raises:
      ValueError: `max_length` leaves no room for a piece beside the special tokens.
    """
    if max_length <= 2:
        raise ValueError(
            "max_length must be greater than 2, the number of special tokens in a row. "
            f"Got: {max_length}"
        )
    pieces = _pieces(words.flat_values, tokenizer)
    word_of_piece = tf.cast(pieces.value_rowids(), tf.int32)
    is_first = tf.range(tf.size(word_of_piece)) == tf.cast(
        tf.gather(pieces.row_starts(), word_of_piece), tf.int32
    )
    # Where the pieces of each sentence begin and end.
    splits = tf.cast(tf.gather(pieces.row_splits, words.row_splits), tf.int32)
    places, counts, sentences = _windows(splits, capacity=max_length - 2)

    def framed(values: tf.Tensor, first, last) -> tf.RaggedTensor:
        inside = places.with_flat_values(values)
        column = tf.ones([places.nrows(), 1], values.dtype)
        return tf.concat([column * first, inside, column * last], axis=1)

    token_ids = tf.gather(pieces.flat_values, places.flat_values)
    owned = tf.where(counts, tf.gather(word_of_piece, places.flat_values), -1)
    firsts = tf.cast(counts & tf.gather(is_first, places.flat_values), tf.int32)
    first_rows = framed(firsts, 0, 0)
    return WordRows(
        token_ids=framed(token_ids, tokenizer.cls_id, tokenizer.sep_id),
        words=framed(owned, -1, -1),
        is_first=first_rows.with_flat_values(first_rows.flat_values > 0),
        sentences=sentences,
    )


def _pieces(words: tf.Tensor, tokenizer: Tokenizer) -> tf.RaggedTensor:
    """int32 [words, (pieces)], at least one piece each."""
    # Byte-level BPE knows by the space that a word begins; the other kinds pass over it.
    pieces = tokenizer.ragged_ids(tf.strings.join([" ", words]))
    missing = tf.cast(pieces.row_lengths() == 0, tf.int64)
    unknown = tf.RaggedTensor.from_row_lengths(
        tf.fill([tf.reduce_sum(missing)], tf.constant(tokenizer.unk_id, tf.int32)),
        missing,
        validate=False,
    )
    return tf.concat([pieces, unknown], axis=1)


def _windows(splits: tf.Tensor, *, capacity: int) -> tuple[tf.RaggedTensor, tf.Tensor, tf.Tensor]:
    """Cuts sentences in windows.

    Args:
      splits: int32 [sentences + 1], where the pieces of each sentence begin and end.
      capacity: pieces of a window.

    Returns:
      (places, counts, sentences): int32 [windows, (pieces)], the pieces of each window; bool [all
      of them], whether the piece counts in this window; int32 [windows]. A sentence without pieces
      has one window, an empty one.
    """
    margin = capacity // 8  # on each side of what counts: two windows share 2 * margin pieces
    step = capacity - 2 * margin
    lengths = splits[1:] - splits[:-1]
    num_windows = 1 + tf.maximum(lengths - capacity + step - 1, 0) // step
    numbers = tf.ragged.range(num_windows)
    number, sentences = numbers.flat_values, tf.cast(numbers.value_rowids(), tf.int32)
    length, total = tf.gather(lengths, sentences), tf.gather(num_windows, sentences)
    begin = number * step
    end = tf.minimum(begin + capacity, length)
    counts_from = tf.where(number == 0, 0, begin + margin)
    counts_to = tf.where(number == total - 1, length, begin + step + margin)
    inside = tf.ragged.range(begin, end)
    window = inside.value_rowids()
    counts = (inside.flat_values >= tf.gather(counts_from, window)) & (
        inside.flat_values < tf.gather(counts_to, window)
    )
    places = inside.flat_values + tf.gather(tf.gather(splits, sentences), window)
    return inside.with_flat_values(places), counts, sentences
