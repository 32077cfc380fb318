"""BERT's own tokenizer: WordPiece."""

from __future__ import annotations

import os
from collections.abc import Sequence

import tensorflow as tf

from keras_bert_suite.text import tokenizer_files
from keras_bert_suite.text.normalization import Normalizer
from keras_bert_suite.text.offsets import character_offsets
from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.text.vocabulary import (
    CONTINUATION_MARK,
    SPECIAL_TOKENS,
    check_vocabulary,
)
from keras_bert_suite.text.wordpiece import WordPieces


class WordPieceTokenizer(Tokenizer):
    """WordPiece, equal piece by piece to google-research/bert, tokenization.py.

    Bytes that are not UTF-8 are left out.

    Where Hugging Face's tokenizers differ from Google's (limit of 100 characters for a word
    instead of 200, final sigma, unassigned characters) this one does as Google's. The vocabulary
    becomes constants of the graph: an exporter has nothing to attach.

    Args:
      vocabulary: entries in the order of their ids; has [PAD] [UNK] [CLS] [SEP] [MASK].
      lowercase: whether to lower-case (an "uncased" model).
      strip_accents: whether to remove accents; None means as `lowercase`.
      split_cjk: whether each CJK ideograph is a word of its own.

    Raises:
      ValueError: duplicate entries or a special token missing.

    Source: Wu et al. 2016, arXiv:1609.08144, section 4.1 (WordPiece); Song et al. 2021,
    arXiv:2012.15524 (the linear-time algorithm of tensorflow-text).
    """

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
    ):
        if isinstance(vocabulary, str):
            raise ValueError(
                "vocabulary must be a sequence of entries; to read a file use "
                f"Tokenizer.from_directory. Got: {vocabulary[:50]!r}"
            )
        check_vocabulary(vocabulary, source="the vocabulary")
        vocabulary = tuple(vocabulary)
        super().__init__(vocabulary, [vocabulary.index(token) for token in SPECIAL_TOKENS])
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.split_cjk = split_cjk
        self._normalizer = Normalizer(lowercase=lowercase, strip_accents=self.strip_accents)
        # The string operations exist on the CPU alone; so must the constants they read.
        with tf.init_scope(), tf.device("CPU"):
            self._pieces = WordPieces(self.vocabulary, split_cjk=split_cjk)
        self.continuation = self._pieces.continuation

    def save(self, directory: str | os.PathLike, *, max_length: int = 512) -> None:
        """Writes vocab.txt, tokenizer_config.json and special_tokens_map.json.

        Args:
          directory: made when it is not there.
          max_length: tokens; what Hugging Face's tokenizers truncate to when asked to.
        """
        tokenizer_files.write(
            directory,
            self.vocabulary,
            lowercase=self.lowercase,
            strip_accents=self.strip_accents,
            split_cjk=self.split_cjk,
            max_length=max_length,
        )

    def ragged_ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Ids without special tokens.

        Args:
          texts: string [batch], any bytes.

        Returns:
          int32 [batch, (pieces)].
        """
        # A scalar would crash tensorflow-text's operation, and the process with it.
        texts = tf.ensure_shape(texts, [None])
        return self._pieces(self._normalizer(texts))[0]

    def ragged_ids_and_offsets(
        self, texts: tf.Tensor
    ) -> tuple[tf.RaggedTensor, tf.RaggedTensor, tf.RaggedTensor]:
        """Ids without special tokens, and the characters they stand for.

        Args:
          texts: string [batch], any bytes.

        Returns:
          (ids, starts, ends): int32 [batch, (pieces)]; a piece stands for the Unicode code points
          [start, end) of its text as it was given. A malformed byte sequence counts as one.
        """
        texts = tf.ensure_shape(texts, [None])
        normalized = self._normalizer(texts)
        ids, starts, ends = self._pieces(normalized)
        starts, ends = character_offsets(
            texts, starts, ends, normalized=normalized, normalizer=self._normalizer
        )
        return ids, starts, ends

    def _joined(self, tokens: Sequence[str]) -> str:
        return " ".join(tokens).replace(f" {CONTINUATION_MARK}", "")
