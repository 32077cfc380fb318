"""Splitting text into the words of byte-level BPE, inside the graph."""

from __future__ import annotations

import functools
import unicodedata

import numpy as np
import tensorflow as tf

# Kinds of characters, as \s, \p{L}, \p{N} and the rest of GPT-2's regular expression.
_OTHER, _LETTER, _NUMBER, _SPACE = range(4)
_WHITE_SPACE = (
    *range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
    0x205F, 0x3000,
)  # fmt: skip
# No letter or number beyond: planes 4 to 13 are empty, those after hold tags and private use.
_LAST_LETTER = 0x3FFFF
_PAGE = 256


class WordSplitter:
    r"""Where words begin, as GPT-2's regular expression finds them.

        's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+

    A word is a contraction, or a run of letters, of numbers or of others with one space before it.
    Of white space before a word the last character stays with the word if it is a space, and is one
    of its own if it is not. The regular expressions of TensorFlow know no lookahead, hence
    integers.

    Letters and numbers are those of Python's Unicode; characters that were assigned later count as
    others.

    Source: Radford et al. 2019 (GPT-2), openai/gpt-2, src/encoder.py.
    """

    def __init__(self):
        pages, page_of = _kinds()
        self._pages, self._page_of = tf.constant(pages), tf.constant(page_of)

    def __call__(self, characters: tf.RaggedTensor) -> tf.Tensor:
        """Where words begin.

        Args:
          characters: int32 [batch, (characters)], code points.

        Returns:
          bool [all characters].
        """
        codes = characters.flat_values
        # Each row has at least the end of the last before its first: no run crosses rows.
        row = tf.cast(characters.value_rowids(), tf.int32)
        kind = self._kind(codes)
        is_first = tf.concat([tf.ones_like(row[:1], tf.bool), row[1:] != row[:-1]], 0)
        is_last = tf.concat([is_first[1:], tf.ones_like(row[:1], tf.bool)], 0)
        before, after = _shifted(kind, 1, fill=-1), _shifted(kind, -1, fill=-1)
        begins_run = is_first | (kind != before)
        is_space = kind == _SPACE
        leads = is_space & ~is_last & (after != _SPACE)
        follows_space = ~is_first & _shifted(codes == 0x20, 1, fill=False)
        follows_white = ~is_first & (before == _SPACE)
        begins = tf.where(is_space, leads | begins_run, begins_run & ~follows_space)
        apostrophe = (codes == 0x27) & (
            is_first | (before == _LETTER) | (before == _NUMBER) | (follows_white & ~follows_space)
        )
        return self._with_contractions(begins, codes, row, apostrophe)

    def _kind(self, codes: tf.Tensor) -> tf.Tensor:
        page = tf.gather(self._page_of, tf.bitwise.right_shift(codes, 8))
        return tf.cast(tf.gather(self._pages, page * _PAGE + (codes & 0xFF)), tf.int32)

    @staticmethod
    def _with_contractions(
        begins: tf.Tensor, codes: tf.Tensor, row: tf.Tensor, apostrophe: tf.Tensor
    ) -> tf.Tensor:
        """Ends a word behind 's 't 'm 'd 're 've 'll, and begins none inside."""

        def next_is(distance: int, letters: str) -> tf.Tensor:
            there = _shifted(codes, -distance, fill=0)
            in_row = _shifted(row, -distance, fill=-1) == row
            return in_row & functools.reduce(tf.logical_or, [there == ord(c) for c in letters])

        short = apostrophe & next_is(1, "stmd")
        long = apostrophe & (
            (next_is(1, "rv") & next_is(2, "e")) | (next_is(1, "l") & next_is(2, "l"))
        )
        inside = _shifted(short | long, 1, fill=False) | _shifted(long, 2, fill=False)
        # What begins behind the end of a row begins there anyhow.
        behind = _shifted(short, 2, fill=False) | _shifted(long, 3, fill=False)
        return short | long | behind | (begins & ~inside)


def _shifted(values: tf.Tensor, distance: int, *, fill: object) -> tf.Tensor:
    """`values` moved to the right by `distance` (to the left if negative)."""
    size = tf.shape(values)[0]
    if distance > 0:
        padded = tf.pad(values, [[distance, 0]], constant_values=fill)
        return padded[:size]
    padded = tf.pad(values, [[0, -distance]], constant_values=fill)
    return padded[-distance:]


@functools.cache
def _kinds() -> tuple[np.ndarray, np.ndarray]:
    """(kinds [pages * 256] uint8, page of each 256 code points [4352] int32), equal pages once."""
    kinds = np.zeros(0x110000, np.uint8)
    first_letters = {"L": _LETTER, "N": _NUMBER}
    for code in range(_LAST_LETTER + 1):
        kinds[code] = first_letters.get(unicodedata.category(chr(code))[0], _OTHER)
    kinds[list(_WHITE_SPACE)] = _SPACE
    pages, page_of = np.unique(kinds.reshape(-1, _PAGE), axis=0, return_inverse=True)
    return pages.reshape(-1), page_of.astype(np.int32).reshape(-1)
