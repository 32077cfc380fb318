"""The words of running text, inside the graph: what token labels are given to."""

from __future__ import annotations

import functools
import unicodedata

import numpy as np
import tensorflow as tf

# Kinds of characters: tokenization.py of google-research/bert, _is_control, _is_whitespace,
# _is_punctuation and _is_chinese_char. A punctuation mark or an ideograph is a word of its own.
_IN_WORD, _SPACE, _ALONE, _INVISIBLE = range(4)
_IDEOGRAPHS = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
# Elsewhere there are only unassigned and private characters, which are as letters.
_ASSIGNED = (range(0x40000), range(0xE0000, 0xE1000))


def plain_words(
    texts: tf.Tensor,
) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
    """The words that BERT's basic tokenizer would find, as they stand in the text.

    White space parts words; a punctuation mark or a CJK ideograph is one by itself. Control and
    format characters (NUL, zero-width joiners, direction marks) are no words: inside of one they
    stay, at its ends they are left out. The same for every kind of tokenizer, so that a model meets
    words in text as it met them in training.

    Args:
      texts: string [batch], any bytes.

    Returns:
      (words, starts, ends): string and int32 [batch, (words)]; a word is the characters
      [start, end) of its text. A character is a Unicode code point; a malformed byte sequence
      counts as one, as in `bytes.decode("utf-8", "replace")`.

    Source: Devlin et al. 2018; google-research/bert, tokenization.py, BasicTokenizer.
    """
    # A scalar would go through the operations below and end as something else than words.
    characters = tf.strings.unicode_decode(
        tf.ensure_shape(texts, [None]), "UTF-8", errors="replace"
    )
    codes, rows = characters.flat_values, characters.value_rowids()
    kind = _kind(codes)
    visible = tf.where(kind != _INVISIBLE)[:, 0]
    kind, row = tf.gather(kind, visible), tf.gather(rows, visible)
    before = tf.concat([[_SPACE], kind[:-1]], 0)[: tf.size(kind)]
    row_before = tf.concat([tf.constant([-1], row.dtype), row[:-1]], 0)[: tf.size(row)]
    begins = (kind != _SPACE) & ((before != _IN_WORD) | (kind == _ALONE) | (row != row_before))
    word = tf.cumsum(tf.cast(begins, tf.int32)) - 1
    in_words = kind != _SPACE
    first = tf.boolean_mask(visible, begins)
    last = tf.math.segment_max(tf.boolean_mask(visible, in_words), tf.boolean_mask(word, in_words))
    inside = tf.ragged.range(first, last + 1)
    words = tf.strings.unicode_encode(
        inside.with_flat_values(tf.gather(codes, inside.flat_values)), "UTF-8"
    )
    word_rows = tf.boolean_mask(row, begins)
    row_start = tf.gather(characters.row_starts(), word_rows)
    parts = (words, *(tf.cast(x - row_start, tf.int32) for x in (first, last + 1)))
    rows_of = tf.RaggedTensor.from_value_rowids(
        words, word_rows, nrows=characters.nrows(), validate=False
    )
    words, starts, ends = (rows_of.with_flat_values(part) for part in parts)
    return words, starts, ends


def _kind(codes: tf.Tensor) -> tf.Tensor:
    """The kind of each code point, int32."""
    begins, kinds = _runs()
    run = tf.searchsorted(tf.constant(begins), codes, side="right") - 1
    return tf.gather(tf.constant(kinds), run)


@functools.cache
def _runs() -> tuple[np.ndarray, np.ndarray]:
    """(int32: where runs of characters of one kind begin, int32: their kinds)."""
    begins, kinds = [], [-1]
    for codes in _ASSIGNED:
        found = [(code, _kind_of(chr(code))) for code in codes]
        for code, kind in [*found, (codes.stop, _IN_WORD)]:
            if kind != kinds[-1]:
                begins.append(code)
                kinds.append(kind)
    return np.array(begins, np.int32), np.array(kinds[1:], np.int32)


def _kind_of(character: str) -> int:
    code, category = ord(character), unicodedata.category(character)
    if character in "\t\n\r" or category[0] == "Z":
        return _SPACE
    if category in ("Cc", "Cf") or code == 0xFFFD:
        return _INVISIBLE
    punctuation = category[0] == "P" or (code < 0x80 and not character.isalnum())
    if punctuation or any(low <= code <= high for low, high in _IDEOGRAPHS):
        return _ALONE
    return _IN_WORD
