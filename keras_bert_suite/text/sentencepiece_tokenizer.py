"""ALBERT's tokenizer: a SentencePiece unigram model."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.text import sentencepiece_files, sentencepiece_model, special_tokens
from keras_bert_suite.text.offsets import character_offsets
from keras_bert_suite.text.sentencepiece_model import WORD_MARK
from keras_bert_suite.text.sentencepiece_normalization import SentencePieceNormalizer
from keras_bert_suite.text.sentencepiece_operation import SentencePieceOperation
from keras_bert_suite.text.tokenizer import Tokenizer

# google-research/albert, create_pretraining_data.py, _is_start_piece_sp: pieces with other
# characters than letters of English begin a word of their own.
_CONTINUING = frozenset("abcdefghijklmnopqrstuvwxyz")


class SentencePieceTokenizer(Tokenizer):
    """SentencePiece as ALBERT uses it, equal piece by piece to Hugging Face's `AlbertTokenizer`.

    tensorflow-text runs the model inside the graph. A number and the comma behind it are two
    pieces. Bytes that are not UTF-8 count as U+FFFD.

    Args:
      model: content of a spiece.model.
      lowercase: whether to lower-case.
      keep_accents: whether to leave compatibility characters and accents as they are.
      special_tokens: token of each role ("cls_token", ...) where it is not ALBERT's.
      source: what the messages call the model.

    Raises:
      ValueError: the model is damaged or of another type, or a special token is missing.

    Source: Kudo 2018, arXiv:1804.10959 (unigram); Lan et al. 2019, arXiv:1909.11942 (ALBERT).
    """

    def __init__(
        self,
        model: bytes,
        *,
        lowercase: bool = True,
        keep_accents: bool = False,
        special_tokens: Mapping[str, str] | None = None,
        source: str = "the model",
    ):
        proto = sentencepiece_model.parse(model, source=source)
        names = {**sentencepiece_files.SPECIAL_TOKENS, **(special_tokens or {})}
        vocabulary = [piece.piece for piece in proto.pieces]
        super().__init__(vocabulary, _special_ids(vocabulary, names, source))
        self.lowercase = lowercase
        self.keep_accents = keep_accents
        self._names = names
        self._normalizer = SentencePieceNormalizer(lowercase=lowercase, keep_accents=keep_accents)
        special = set(names.values())
        self._serialized = sentencepiece_model.serialized(proto, special=special)
        self.continuation = np.array(
            [token not in special and _continues(token) for token in vocabulary], np.bool_
        )
        with tf.init_scope():
            self._model = SentencePieceOperation(self._serialized, source=source)

    def save(self, directory: str | os.PathLike, *, max_length: int = 512) -> None:
        """Writes spiece.model, tokenizer_config.json and special_tokens_map.json.

        Args:
          directory: made when it is not there.
          max_length: tokens; what Hugging Face's tokenizers truncate to when asked to.
        """
        sentencepiece_files.write(
            directory,
            model=self._serialized,
            lowercase=self.lowercase,
            keep_accents=self.keep_accents,
            special_tokens=self._names,
            max_length=max_length,
        )

    def ragged_ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """See `Tokenizer.ragged_ids`."""
        # A scalar would crash tensorflow-text's operation, and the process with it.
        texts = tf.ensure_shape(texts, [None])
        return self._model.ids(self._normalizer(texts))

    def ragged_ids_and_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """See `Tokenizer.ragged_ids_and_offsets`.

        White space around a piece is left out. The mark of a word's beginning, where it is a piece
        of its own, stands for the word's first character.
        """
        texts = tf.ensure_shape(texts, [None])
        normalized = self._normalizer(texts)
        ids, starts, ends = self._model.ids_and_bytes(normalized)
        starts, ends = _without_spaces(normalized, starts, ends)
        starts, ends = character_offsets(
            texts, starts, ends, normalized=normalized, normalizer=self._normalizer
        )
        return ids, starts, ends

    def _joined(self, tokens: Sequence[str]) -> str:
        return "".join(tokens).replace(WORD_MARK, " ").strip(" ")


def _special_ids(
    vocabulary: Sequence[str], names: Mapping[str, str], source: str
) -> tuple[int, ...]:
    return special_tokens.ids(vocabulary, names, source=source)


def _continues(token: str) -> bool:
    return not token.startswith(WORD_MARK) and _CONTINUING.issuperset(token.lower())


def _without_spaces(
    texts: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """The bytes of pieces without the spaces around; of spaces alone, the byte after them."""
    encoded = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
    is_text = encoded != 0x20
    # Places of the bytes that are no spaces, and how many of them are before each byte.
    places = tf.cast(tf.where(is_text)[:, 0], tf.int32)
    places = tf.concat([places, [tf.size(encoded)]], 0)
    before = tf.cumsum(tf.pad(tf.cast(is_text, tf.int32), [[1, 0]]))
    rows = starts.value_rowids()
    sizes = tf.strings.length(texts)
    row_start = tf.gather(tf.cumsum(sizes, exclusive=True), rows)
    row_last = tf.maximum(row_start, row_start + tf.gather(sizes, rows) - 1)
    first = tf.gather(before, row_start + starts.flat_values)
    behind = tf.maximum(tf.gather(before, row_start + ends.flat_values), first + 1)
    last_text = tf.gather(places, tf.minimum(behind - 1, tf.size(places) - 1))
    new_starts = tf.minimum(tf.gather(places, first), row_last) - row_start
    new_ends = tf.minimum(last_text, row_last) - row_start + 1
    return starts.with_flat_values(new_starts), ends.with_flat_values(new_ends)
