"""RoBERTa's tokenizer: byte-level BPE."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.text import byte_pair_files, byte_pair_model, special_tokens
from keras_bert_suite.text.byte_pair_model import CHARACTERS, SPACE
from keras_bert_suite.text.byte_pair_words import WordSplitter
from keras_bert_suite.text.sentencepiece_operation import SentencePieceOperation
from keras_bert_suite.text.tokenizer import Tokenizer


class BytePairTokenizer(Tokenizer):
    """Byte-level BPE, equal piece by piece to Hugging Face's `RobertaTokenizer`.

    Capitals, accents and white space are kept: every text can be spelt in bytes. Bytes that are not
    UTF-8 count as U+FFFD. Texts are framed as `<s> a </s>` and `<s> a </s></s> b </s>`, all in
    segment 0. The merges run as a SentencePiece model of tensorflow-text, in time proportional to
    n log n of a word's length; see `byte_pair_model.serialized` for why the pieces are the same.

    Args:
      vocabulary: entries in the order of their ids, bytes written as GPT-2 does (a space is "Ġ").
      merges: pairs of entries, the first to be joined first.
      add_prefix_space: whether a text that begins without a space gets one.
      special_tokens: token of each role ("cls_token", ...) where it is not RoBERTa's.

    Raises:
      ValueError: an entry twice, a merge of what the vocabulary lacks, a special token missing.

    Source: Sennrich et al. 2016, arXiv:1508.07909 (BPE); Radford et al. 2019, section 2.2 (bytes);
    Liu et al. 2019, arXiv:1907.11692 (RoBERTa).
    """

    _separators = 2
    _segments = False

    lowercase = False

    def __init__(
        self,
        vocabulary: Sequence[str],
        merges: byte_pair_model.Merges,
        *,
        add_prefix_space: bool = False,
        special_tokens: Mapping[str, str] | None = None,
    ):
        names = {**byte_pair_files.SPECIAL_TOKENS, **(special_tokens or {})}
        super().__init__(vocabulary, _special_ids(vocabulary, names))
        self.merges = tuple((left, right) for left, right in merges)
        byte_pair_model.check_merges(self.vocabulary, self.merges)
        self.add_prefix_space = add_prefix_space
        self._names = names
        self._num_missing = len(byte_pair_model.missing_bytes(self.vocabulary))
        special = set(names.values())
        self.continuation = np.array(
            [token not in special and not token.startswith(_WHITE) for token in self.vocabulary],
            np.bool_,
        )
        model = byte_pair_model.serialized(
            self.vocabulary, self.merges, special=tuple(special), unknown=names["unk_token"]
        )
        # The string operations exist on the CPU alone; so must what they read.
        with tf.init_scope(), tf.device("CPU"):
            self._words = WordSplitter()
            self._model = SentencePieceOperation(model, source="the vocabulary")
            self._character_of_byte = tf.constant(CHARACTERS, tf.int32)
            self._sizes = tf.constant(self._per_piece(len), tf.int32)
            self._spaces_before = tf.constant(
                self._per_piece(lambda token: len(token) - len(token.lstrip(SPACE))), tf.int32
            )
            self._spaces_after = tf.constant(
                self._per_piece(lambda token: len(token) - len(token.rstrip(SPACE))), tf.int32
            )

    def save(self, directory: str | os.PathLike, *, max_length: int = 512) -> None:
        """Writes vocab.json, merges.txt, tokenizer_config.json and special_tokens_map.json.

        Args:
          directory: made when it is not there.
          max_length: tokens; what Hugging Face's tokenizers truncate to when asked to.
        """
        byte_pair_files.write(
            directory,
            vocabulary=self.vocabulary,
            merges=self.merges,
            add_prefix_space=self.add_prefix_space,
            special_tokens=self._names,
            max_length=max_length,
        )

    def ragged_ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See `Tokenizer.ragged_ids`."""
        ids = self._pieces(self._characters(texts)[0])
        return self._known(ids, ids)[0] if self._num_missing else ids

    def ragged_ids_and_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """See `Tokenizer.ragged_ids_and_offsets`.

        Spaces before and after a piece are left out, so that one of spaces alone has start == end.
        A piece that is a part of a character's bytes stands for the whole character.
        """
        characters, prefixed = self._characters(texts)
        ids = self._pieces(characters)
        # The pieces are all the bytes in their order, so their sizes tell where they are.
        sizes = tf.gather(self._sizes, ids.flat_values)
        last_byte = tf.cumsum(sizes) - 1
        character_of_byte = _repeated(_utf8_sizes(characters.flat_values))
        rows = ids.value_rowids()
        before = tf.gather(tf.cast(characters.row_splits, tf.int32), rows)
        first = tf.gather(character_of_byte, last_byte - sizes + 1) - before
        end = tf.gather(character_of_byte, last_byte) + 1 - before
        starts = tf.minimum(first + tf.gather(self._spaces_before, ids.flat_values), end)
        ends = tf.maximum(end - tf.gather(self._spaces_after, ids.flat_values), starts)
        added = tf.gather(prefixed, rows)
        offsets = [ids.with_flat_values(tf.maximum(x - added, 0)) for x in (starts, ends)]
        return self._known(ids, ids, *offsets) if self._num_missing else (ids, *offsets)

    def _characters(self, texts: tf.Tensor) -> tuple[tf.RaggedTensor, tf.Tensor]:
        """(code points [batch, (characters)], int32 [batch]: 1 where a space was put before)."""
        # A scalar would crash tensorflow-text's operation, and the process with it.
        texts = tf.ensure_shape(texts, [None])
        prefixed = tf.zeros_like(texts, tf.int32)
        if self.add_prefix_space:
            begin = tf.strings.substr(texts, 0, 1)
            bare = (begin != " ") & (begin != "")
            texts = tf.where(bare, tf.strings.join([" ", texts]), texts)
            prefixed = tf.cast(bare, tf.int32)
        return tf.strings.unicode_decode(texts, "UTF-8", errors="replace"), prefixed

    def _pieces(self, characters: tf.RaggedTensor) -> tf.RaggedTensor:
        """Ids [batch, (pieces)]; those beyond the vocabulary stand for bytes that it lacks."""
        begins = self._words(characters)
        codes = characters.flat_values
        whole = tf.strings.unicode_encode(codes, "UTF-8")
        spelt = tf.gather(
            self._character_of_byte, tf.cast(tf.io.decode_raw(whole, tf.uint8), tf.int32)
        )
        byte_before = tf.cumsum(_utf8_sizes(codes), exclusive=True)
        word_starts = tf.boolean_mask(byte_before, begins)
        words = tf.strings.unicode_encode(
            tf.RaggedTensor.from_row_starts(spelt, tf.cast(word_starts, tf.int64), validate=False),
            "UTF-8",
        )
        # Each word once: most words of a batch come again and again.
        different, which = tf.unique(words)
        ids = tf.gather(self._model.ids(different), which)
        words_before = tf.cumsum(tf.pad(tf.cast(begins, tf.int64), [[1, 0]]))
        word_splits = tf.gather(words_before, characters.row_splits)
        return tf.RaggedTensor.from_row_splits(
            ids.values, tf.gather(ids.row_splits, word_splits), validate=False
        )

    def _known(self, ids: tf.RaggedTensor, *parts: tf.RaggedTensor) -> tuple[tf.RaggedTensor, ...]:
        """`parts` without the bytes that the vocabulary lacks, as Hugging Face leaves them out."""
        known = ids < self.vocab_size
        return tuple(tf.ragged.boolean_mask(part, known) for part in parts)

    def _per_piece(self, number) -> list[int]:
        """A number for every id that the model can give."""
        return [number(token) for token in self.vocabulary] + [
            number(token) for token in byte_pair_model.missing_bytes(self.vocabulary)
        ]

    def _joined(self, tokens: Sequence[str]) -> str:
        special = set(self._names.values())
        encoded = b"".join(
            token.encode() if token in special else _bytes_of(token) for token in tokens
        )
        return encoded.decode("utf-8", "replace")


_BYTE_OF = {chr(code): byte for byte, code in enumerate(CHARACTERS)}
# Pieces that begin with white space begin a word.
_WHITE = tuple(chr(CHARACTERS[byte]) for byte in b" \t\n\r\x0b\x0c")


def _bytes_of(token: str) -> bytes:
    if any(character not in _BYTE_OF for character in token):
        return token.encode()  # an added token: it is written as it is
    return bytes(_BYTE_OF[character] for character in token)


def _special_ids(vocabulary: Sequence[str], names: Mapping[str, str]) -> tuple[int, ...]:
    if len(set(vocabulary)) != len(vocabulary):
        twice = next(token for i, token in enumerate(vocabulary) if token in vocabulary[:i])
        raise ValueError(f"Every entry of a vocabulary must be there once. Got twice: {twice!r}")
    return special_tokens.ids(vocabulary, names, source="the vocabulary")


def _utf8_sizes(codes: tf.Tensor) -> tf.Tensor:
    """Bytes of each code point in UTF-8: int32, the shape of `codes`."""
    steps = [tf.cast(codes >= first, tf.int32) for first in (0x80, 0x800, 0x10000)]
    return 1 + steps[0] + steps[1] + steps[2]


def _repeated(counts: tf.Tensor) -> tf.Tensor:
    """0, ..., 0, 1, ..., 1, 2, ...: each index as often as its count."""
    return tf.repeat(tf.range(tf.size(counts)), counts)
