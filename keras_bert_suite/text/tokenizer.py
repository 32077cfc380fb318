"""BERT's tokenizer: from raw text to batches, the same inside the graph and in Python."""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from keras_bert_suite.text import packing, tokenizer_files
from keras_bert_suite.text.arguments import as_texts
from keras_bert_suite.text.normalization import Normalizer
from keras_bert_suite.text.offsets import character_offsets
from keras_bert_suite.text.vocabulary import (
    CONTINUATION_MARK,
    SPECIAL_TOKENS,
    check_vocabulary,
)
from keras_bert_suite.text.wordpiece import WordPieces

_TEXTS = tf.TensorSpec([None], tf.string)


@dataclasses.dataclass(frozen=True)
class Tokenized:
    """One text's pieces: entries of the vocabulary, their ids, characters [start, end)."""

    tokens: list[str]
    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer:
    """WordPiece, equal piece by piece to google-research/bert, tokenization.py.

    Every method that takes a tensor works inside `tf.function`, `tf.data` and exported signatures.
    Text is not trusted: `[MASK]` or `[SEP]` written in a text are brackets and a word, never the
    special token. Bytes that are not UTF-8 are left out.

    Where Hugging Face's tokenizers differ from Google's (limit of 100 characters for a word
    instead of 200, final sigma, unassigned characters) this one does as Google's.

    Args:
      vocabulary: entries in the order of their ids; has [PAD] [UNK] [CLS] [SEP] [MASK].
      lowercase: whether to lower-case (an "uncased" model).
      strip_accents: whether to remove accents; None means as `lowercase`.
      split_cjk: whether each CJK ideograph is a word of its own.

    Attributes:
      vocabulary: tuple of str.
      vocab_size: number of entries.
      pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens; special_ids has all.
      continuation: bool [vocab], NumPy; True for the pieces that continue a word ("##...").
      trackables: what an exporter must attach to its module; nothing, for the vocabulary becomes
        constants of the graph.

    Raises:
      ValueError: duplicate entries or a special token missing.

    Source: Wu et al. 2016, arXiv:1609.08144, section 4.1 (WordPiece); Song et al. 2021,
    arXiv:2012.15524 (the linear-time algorithm of tensorflow-text).
    """

    trackables: tuple = ()

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
        self.vocabulary = tuple(vocabulary)
        self.vocab_size = len(self.vocabulary)
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.split_cjk = split_cjk
        self.special_ids = tuple(map(self.vocabulary.index, SPECIAL_TOKENS))
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = self.special_ids
        self._normalizer = Normalizer(lowercase=lowercase, strip_accents=self.strip_accents)
        # The string operations exist on the CPU alone; so must the constants they read.
        with tf.init_scope(), tf.device("CPU"):
            self._pieces = WordPieces(self.vocabulary, split_cjk=split_cjk)
        self.continuation = self._pieces.continuation
        self._compiled_batches: dict[tuple[int, int | None], Callable] = {}

    @classmethod
    def from_directory(
        cls, directory: str | os.PathLike, *, lowercase: bool | None = None
    ) -> Tokenizer:
        """The tokenizer of a model directory.

        Args:
          directory: has vocab.txt (or a tokenizer.json of Hugging Face with a WordPiece model);
            tokenizer_config.json and special_tokens_map.json are read where they are.
          lowercase: overrides the directory's `do_lower_case`; True when neither says.

        Raises:
          ValueError: no vocabulary there, a damaged file, or a tokenizer that is not BERT's.
        """
        vocabulary, options = tokenizer_files.read(directory)
        if lowercase is not None:
            options["lowercase"] = lowercase
        return cls(vocabulary, **options)

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

    def pack(
        self,
        ids_a: tf.RaggedTensor,
        ids_b: tf.RaggedTensor | None = None,
        *,
        max_length: int | None = None,
    ) -> dict[str, tf.Tensor]:
        """Batch of `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`; see `packing.pack`.

        Args:
          ids_a: int32 [batch, (pieces)].
          ids_b: int32 [batch, (pieces)] or None.
          max_length: most tokens in a row; the longer text of a pair is truncated first.

        Returns:
          token_ids, segment_ids, padding_mask (1 = real token): int32 [batch, longest row].

        Raises:
          ValueError: `max_length` leaves no room beside the special tokens.
        """
        return packing.pack(
            ids_a,
            ids_b,
            cls_id=self.cls_id,
            sep_id=self.sep_id,
            pad_id=self.pad_id,
            max_length=max_length,
        )

    def __call__(
        self, texts: Any, pairs: Any = None, *, max_length: int | None = None
    ) -> dict[str, Any]:
        """Batch for the encoder.

        Args:
          texts: list of str or bytes, or string tensor [batch].
          pairs: the same, as many, for `[CLS] text [SEP] pair [SEP]`; or None.
          max_length: most tokens in a row, special tokens included; None for no limit.

        Returns:
          token_ids, segment_ids, padding_mask (1 = real token): int32 [batch, longest row]; NumPy
          arrays, or tensors where `texts` is a tensor.

        Raises:
          ValueError: a single text instead of a list, other things than texts, lists of different
            lengths, `max_length` too small.
        """
        tensor_in = tf.is_tensor(texts)
        texts = as_texts(texts, name="texts")
        pairs = None if pairs is None else as_texts(pairs, name="pairs")
        if pairs is not None and not texts.shape.is_compatible_with(pairs.shape):
            raise ValueError(
                "texts and pairs must be equally many. "
                f"Got: {texts.shape[0]} texts and {pairs.shape[0]} pairs"
            )
        arguments = [texts] if pairs is None else [texts, pairs]
        if not tf.executing_eagerly():
            return self._batch(*arguments, max_length=max_length)
        batch = self._compiled_batch(len(arguments), max_length)(*arguments)
        return batch if tensor_in else {name: ids.numpy() for name, ids in batch.items()}

    def tokenize(self, texts: Sequence[str]) -> list[Tokenized]:
        """Pieces of each text, without special tokens.

        Args:
          texts: list of str or bytes.

        Returns:
          One `Tokenized` a text: tokens, ids, and offsets such that text[start:end] is what the
          piece was made from (code points, that is, Python's indices).

        Raises:
          ValueError: a single text instead of a list, or other things than texts.
        """
        ragged = self._compiled_ids_and_offsets(as_texts(texts, name="texts"))
        rows = zip(*(part.to_list() for part in ragged), strict=True)
        return [
            Tokenized(
                [self.vocabulary[i] for i in ids],
                ids,
                list(zip(starts, ends, strict=True)),
            )
            for ids, starts, ends in rows
        ]

    def detokenize(self, ids: Iterable[Iterable[int]]) -> list[str]:
        """Text of each row of ids: pieces joined to words, words joined by spaces.

        [PAD], [CLS] and [SEP] are left out. What normalisation changed stays changed.

        Args:
          ids: rows of ids: lists, an integer array [batch, length] or a RaggedTensor.

        Raises:
          ValueError: an id beyond the vocabulary, or one row instead of rows.
        """
        if hasattr(ids, "to_list"):
            ids = ids.to_list()
        left_out = {self.pad_id, self.cls_id, self.sep_id}
        texts = []
        for row in ids:
            if np.ndim(row) != 1:  # type: ignore[arg-type]
                raise ValueError(
                    f"ids must be rows of ids; for one row write [row]. Got a row {row!r}"
                )
            tokens = [self._token(int(i)) for i in row if int(i) not in left_out]
            texts.append(" ".join(tokens).replace(f" {CONTINUATION_MARK}", ""))
        return texts

    def _token(self, token_id: int) -> str:
        if not 0 <= token_id < self.vocab_size:
            raise ValueError(f"Ids must be in [0, {self.vocab_size}). Got: {token_id}")
        return self.vocabulary[token_id]

    def _batch(
        self, texts: tf.Tensor, pairs: tf.Tensor | None = None, *, max_length: int | None
    ) -> dict[str, tf.Tensor]:
        ids_a = self.ragged_ids(texts)
        ids_b = None if pairs is None else self.ragged_ids(pairs)
        return self.pack(ids_a, ids_b, max_length=max_length)

    # Compiled for Python callers: operation by operation, one text would take 15 times as long.
    def _compiled_batch(self, num_texts: int, max_length: int | None) -> Callable:
        key = (num_texts, max_length)
        if key not in self._compiled_batches:
            batch = functools.partial(self._batch, max_length=max_length)
            self._compiled_batches[key] = tf.function(
                batch, input_signature=[_TEXTS] * num_texts, autograph=False
            )
        return self._compiled_batches[key]

    @functools.cached_property
    def _compiled_ids_and_offsets(self) -> Callable:
        return tf.function(self.ragged_ids_and_offsets, input_signature=[_TEXTS], autograph=False)
