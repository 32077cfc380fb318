"""Splitting normalised text into words and words into WordPieces, inside the graph."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

import numpy as np
import tensorflow as tf
import tensorflow_text as tf_text

from keras_bert_suite.text.vocabulary import CONTINUATION_MARK

UNKNOWN = "[UNK]"
# google-research/bert, tokenization.py: WordpieceTokenizer(max_input_chars_per_word=200).
MAX_WORD_CHARACTERS = 200
_MAX_BYTES_PER_CHARACTER = 4
# The longest entry that tensorflow-text's trie takes.
_MAX_ENTRY_BYTES = 256

# CJK ideographs are words of their own: tokenization.py, _is_chinese_char.
_CJK_RANGES = (
    (0x3400, 0x4DBF),
    (0x4E00, 0x9FFF),
    (0xF900, 0xFAFF),
    (0x20000, 0x2A6DF),
    (0x2A700, 0x2B73F),
    (0x2B740, 0x2B81F),
    (0x2B820, 0x2CEAF),
    (0x2F800, 0x2FA1F),
)
# Punctuation is every ASCII character but letters, digits and space, and the categories P*:
# tokenization.py, _is_punctuation.
_PUNCTUATION = r"[!-/:-@\[-`{-~\p{P}]"
# U+0020, U+00A0, U+3000, ..., tab and line ends; control characters are deleted before.
_SPACE = r"[\t\n\r\p{Z}]"


class WordPieces:
    """WordPieces of normalised texts with byte offsets, longest match first.

    Args:
      vocabulary: entries in the order of their ids; has [UNK].
      split_cjk: whether each CJK ideograph is a word of its own.

    Raises:
      ValueError: an entry of more than 256 bytes.
    """

    def __init__(self, vocabulary: Sequence[str], *, split_cjk: bool):
        self._split_cjk = split_cjk
        self._unknown_id = list(vocabulary).index(UNKNOWN)
        self.continuation = np.array(
            [token.startswith(CONTINUATION_MARK) for token in vocabulary], np.bool_
        )
        self._trie = tf_text.FastWordpieceTokenizer(
            _reachable(vocabulary, split_cjk=split_cjk),
            suffix_indicator=CONTINUATION_MARK,
            unknown_token=UNKNOWN,
            token_out_type=tf.int32,
            max_bytes_per_word=MAX_WORD_CHARACTERS * _MAX_BYTES_PER_CHARACTER,
            no_pretokenization=not split_cjk,
        )
        # A word of more than 200 characters that is not [UNK] has at least so many pieces.
        longest = max(len(token.encode()) for token in vocabulary)
        self._suspicious_run = max(1, MAX_WORD_CHARACTERS // longest)

    def __call__(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Ids with the bytes they stand for.

        Args:
          texts: string [batch], normalised, UTF-8.

        Returns:
          (ids, starts, ends): int32 [batch, (pieces)]; a piece stands for the bytes [start, end)
          of its text. A word with a part that the vocabulary lacks is one [UNK], and so is a word
          of more than 200 characters.
        """
        if self._split_cjk:
            ids, starts, ends = self._trie.tokenize_with_offsets(texts)
        else:
            ids, starts, ends = self._pieces_of_words(texts)
        starts, ends = _int32(starts), _int32(ends)
        lengths, flat = tf.cond(
            self._may_have_long_words(ids),
            lambda: self._without_long_words(texts, ids, starts, ends),
            lambda: (
                ids.row_lengths(),
                (ids.flat_values, starts.flat_values, ends.flat_values),
            ),
        )
        partition = tf.RaggedTensor.from_row_lengths(flat[0], lengths, validate=False)
        return tuple(partition.with_flat_values(values) for values in flat)

    def _pieces_of_words(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, ...]:
        """As `FastWordpieceTokenizer.tokenize_with_offsets`, CJK ideographs left in their words."""
        words, word_starts, _ = tf_text.regex_split_with_offsets(
            texts,
            delim_regex_pattern=f"{_SPACE}|{_PUNCTUATION}",
            keep_delim_regex_pattern=_PUNCTUATION,
        )
        ids, starts, ends = self._trie.tokenize_with_offsets(words)
        shift = tf.expand_dims(word_starts, 2)
        return tuple(ragged.merge_dims(1, 2) for ragged in (ids, starts + shift, ends + shift))

    def _may_have_long_words(self, ids: tf.RaggedTensor) -> tf.Tensor:
        """Scalar bool: whether a run of continuation pieces could be a word beyond the limit.

        A sum over the flat pieces, far cheaper than counting characters; False is certain.
        """
        run = self._suspicious_run
        continued = tf.cumsum(tf.cast(tf.gather(self.continuation, ids.flat_values), tf.int32))
        return tf.reduce_any(continued[run:] - continued[:-run] >= run)

    def _without_long_words(
        self,
        texts: tf.Tensor,
        ids: tf.RaggedTensor,
        starts: tf.RaggedTensor,
        ends: tf.RaggedTensor,
    ) -> tuple[tf.Tensor, tuple[tf.Tensor, tf.Tensor, tf.Tensor]]:
        """Row lengths and flat values with each word beyond the limit made one [UNK]."""
        is_first = ~tf.gather(self.continuation, ids.flat_values)
        word_of_piece = tf.cumsum(tf.cast(is_first, tf.int32)) - 1
        word_starts = tf.boolean_mask(starts.flat_values, is_first)
        word_ends = tf.math.segment_max(ends.flat_values, word_of_piece)
        rows = tf.boolean_mask(ids.value_rowids(), is_first)
        words = tf.strings.substr(tf.gather(texts, rows), word_starts, word_ends - word_starts)
        is_long = tf.strings.length(words, unit="UTF8_CHAR") > MAX_WORD_CHARACTERS

        piece_is_long = tf.gather(is_long, word_of_piece)
        kept = is_first | ~piece_is_long
        new_ids = tf.where(piece_is_long, self._unknown_id, ids.flat_values)
        new_ends = tf.where(piece_is_long, tf.gather(word_ends, word_of_piece), ends.flat_values)
        lengths = tf.reduce_sum(ids.with_flat_values(tf.cast(kept, tf.int64)), axis=1)
        flat = (new_ids, starts.flat_values, new_ends)
        return lengths, tuple(tf.boolean_mask(values, kept) for values in flat)


def _int32(ragged: tf.RaggedTensor) -> tf.RaggedTensor:
    return ragged.with_flat_values(tf.cast(ragged.flat_values, tf.int32))


def _reachable(vocabulary: Sequence[str], *, split_cjk: bool) -> list[str]:
    """`vocabulary` with stand-ins, which match no text, for the entries that no word can match.

    The trie would find an entry with a space in it across two words; Google's tokenizer looks
    entries up word by word. The control character of a stand-in is in no normalised text.

    Raises:
      ValueError: an entry that a word can match is too long for the trie.
    """
    entries = []
    for index, token in enumerate(vocabulary):
        reachable = token == UNKNOWN or _is_word(token, split_cjk=split_cjk)
        if reachable and len(token.encode()) > _MAX_ENTRY_BYTES:
            raise ValueError(
                f"An entry of a vocabulary may have {_MAX_ENTRY_BYTES} bytes. Got for id {index}: "
                f"{token!r}, which has {len(token.encode())}. Shorten it."
            )
        entries.append(token if reachable else f"\x01{index}")
    return entries


def _is_word(token: str, *, split_cjk: bool) -> bool:
    """Whether a word, or after the mark the end of one, can be this entry."""
    text = token.removeprefix(CONTINUATION_MARK) or token
    if len(text) > MAX_WORD_CHARACTERS or any(map(_is_never_in_words, text)):
        return False
    alone = len(text) == 1 and text == token
    return alone or not any(_is_word_alone(character, split_cjk=split_cjk) for character in text)


def _is_never_in_words(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] == "Z" or category in ("Cc", "Cf") or character == "\ufffd"


def _is_word_alone(character: str, *, split_cjk: bool) -> bool:
    if character.isascii():
        return not character.isalnum()
    if unicodedata.category(character)[0] == "P":
        return True
    code = ord(character)
    return split_cjk and any(first <= code <= last for first, last in _CJK_RANGES)
