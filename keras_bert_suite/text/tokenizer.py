"""Tokenizers: from raw text to batches, the same inside the graph and in Python."""

from __future__ import annotations

import abc
import dataclasses
import functools
import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, ClassVar

import numpy as np
import tensorflow as tf

from keras_bert_suite.text import packing
from keras_bert_suite.text.arguments import as_texts

_TEXTS = tf.TensorSpec([None], tf.string)


@dataclasses.dataclass(frozen=True)
class Tokenized:
    """One text's pieces: entries of the vocabulary, their ids, characters [start, end)."""

    tokens: list[str]
    ids: list[int]
    offsets: list[tuple[int, int]]


class Tokenizer(abc.ABC):
    """What the three kinds have in common: WordPiece, byte-level BPE, SentencePiece.

    `Tokenizer(vocabulary, ...)` is a `WordPieceTokenizer`, BERT's own, as `pathlib.Path()` is a
    path of the system at hand; `Tokenizer.from_directory` gives the kind that the files are of.

    Every method that takes a tensor works inside `tf.function`, `tf.data` and exported signatures.
    Text is not trusted: `[MASK]` or `</s>` written in a text is text, never the special token.
    Bytes that are not UTF-8 do no harm.

    Attributes:
      vocabulary: tuple of str, in the order of their ids.
      vocab_size: number of entries.
      lowercase: whether text is lower-cased.
      pad_id, unk_id, cls_id, sep_id, mask_id: ids of the special tokens; special_ids has all.
      continuation: bool [vocab], NumPy; True for the pieces that continue a word.
      trackables: what an exporter must attach to its module; nothing so far, for vocabularies and
        models become constants of the graph.
    """

    # How two texts are framed; see `packing.pack`.
    _separators: ClassVar[int] = 1
    _segments: ClassVar[bool] = True

    trackables: tuple = ()
    lowercase: bool
    continuation: np.ndarray

    def __new__(cls, *args: Any, **options: Any) -> Tokenizer:
        if cls is Tokenizer:
            from keras_bert_suite.text.wordpiece_tokenizer import WordPieceTokenizer

            cls = WordPieceTokenizer
        return super().__new__(cls)

    def __init__(self, vocabulary: Sequence[str], special_ids: Sequence[int]):
        self.vocabulary = tuple(vocabulary)
        self.vocab_size = len(self.vocabulary)
        self.special_ids = tuple(special_ids)
        self.pad_id, self.unk_id, self.cls_id, self.sep_id, self.mask_id = self.special_ids
        self._compiled_batches: dict[tuple[int, int | None], Callable] = {}

    @staticmethod
    def from_directory(directory: str | os.PathLike, *, lowercase: bool | None = None) -> Tokenizer:
        """The tokenizer of a model directory, of the kind that its files are of.

        Args:
          directory: has vocab.txt (WordPiece), vocab.json and merges.txt (byte-level BPE),
            spiece.model (SentencePiece) or a tokenizer.json of Hugging Face with one of them;
            tokenizer_config.json and special_tokens_map.json are read where they are.
          lowercase: overrides the directory's `do_lower_case`; when neither says, WordPiece and
            SentencePiece lower-case. Byte-level BPE never does.

        Raises:
          ValueError: no vocabulary there, a damaged file, or a tokenizer of another kind.
        """
        from keras_bert_suite.text.tokenizer_kinds import read

        return read(directory, lowercase=lowercase)

    def num_special_tokens(self, *, pair: bool = False) -> int:
        """How many tokens of a row frame its text or, `pair`, its two texts."""
        return 2 + self._separators if pair else 2

    @abc.abstractmethod
    def save(self, directory: str | os.PathLike, *, max_length: int = 512) -> None:
        """Writes the tokenizer's files in Hugging Face's layout.

        Args:
          directory: made when it is not there.
          max_length: tokens; what Hugging Face's tokenizers truncate to when asked to.
        """

    @abc.abstractmethod
    def ragged_ids(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Ids without special tokens.

        Args:
          texts: string [batch], any bytes.

        Returns:
          int32 [batch, (pieces)].
        """

    @abc.abstractmethod
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

    @abc.abstractmethod
    def _joined(self, tokens: Sequence[str]) -> str:
        """The text of pieces in a row."""

    def pack(
        self,
        ids_a: tf.RaggedTensor,
        ids_b: tf.RaggedTensor | None = None,
        *,
        max_length: int | None = None,
    ) -> dict[str, tf.Tensor]:
        """Batch of `[CLS] a [SEP]` or `[CLS] a [SEP] b [SEP]`, or as the family frames texts.

        RoBERTa's are `<s> a </s>` and `<s> a </s></s> b </s>`. See `packing.pack`.

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
            separators=self._separators,
            segments=self._segments,
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
        """Text of each row of ids: pieces joined to words.

        The special tokens that frame a text or fill a row are left out. What normalisation changed
        stays changed.

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
            texts.append(self._joined(tokens))
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
