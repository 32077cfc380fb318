"""Documents -> token records."""

from __future__ import annotations

import collections
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from keras_bert_suite.data.document_filters import DocumentFilters
from keras_bert_suite.data.document_reading import Block, TextForm, documents_of
from keras_bert_suite.data.documents import SENTENCE_MODES, Document, sentences_of
from keras_bert_suite.data.encoded_runs import EncodedRun, RunBuilder
from keras_bert_suite.data.records import encode_record, shard_name

# Longer documents are cut into records of at most this many tokens, at sentence ends.
MAX_RECORD_TOKENS = 8192
# Documents that are tokenized together: enough to be fast, few enough to stay in the cache.
_CHUNK_CHARACTERS = 1 << 18


@dataclass(frozen=True, kw_only=True)
class EncodingOptions:
    """What decides the content of the shards, apart from the text and the tokenizer.

    Attributes:
      form: how documents stand in the files.
      filters: which documents are left out.
      sentences: one of SENTENCE_MODES; see `documents.sentences_of`.
      num_shards: training shards; a document's shard follows from its text.
      eval_fraction: share of documents held out, in [0, 1), chosen by a hash of their text: equal
        documents are never on both sides. They get the same share of shards, at least one.
    """

    form: TextForm = field(default_factory=TextForm)
    filters: DocumentFilters = field(default_factory=DocumentFilters)
    sentences: str = "split"
    num_shards: int = 8
    eval_fraction: float = 0.0

    def __post_init__(self) -> None:
        if not 1 <= self.num_shards <= 99_999:
            raise ValueError(f"num_shards must be in [1, 99999]. Received: {self.num_shards}.")
        if self.sentences not in SENTENCE_MODES:
            raise ValueError(
                f"sentences must be one of {', '.join(SENTENCE_MODES)}. "
                f"Received: {self.sentences!r}."
            )
        if not 0.0 <= self.eval_fraction < 1.0:
            raise ValueError(f"eval_fraction must be in [0, 1). Received: {self.eval_fraction}.")

    @property
    def shard_counts(self) -> dict[str, int]:
        """Split -> number of its shards."""
        counts = {"train": self.num_shards}
        if self.eval_fraction:
            counts["eval"] = max(1, round(self.num_shards * self.eval_fraction))
        return counts

    @property
    def shard_names(self) -> list[str]:
        """The names of all shards, in their order."""
        return [
            shard_name(split, index, count)
            for split, count in self.shard_counts.items()
            for index in range(count)
        ]

    def shard_of(self, document: Document) -> str:
        """The name of a document's shard."""
        held_out = self.eval_fraction > 0 and document.held_out_draw < self.eval_fraction
        split = "eval" if held_out else "train"
        count = self.shard_counts[split]
        return shard_name(split, document.document_id % count, count)


class DocumentEncoder:
    """Turns blocks of text into encoded runs: sentences, token ids, records.

    Half of the time goes to the tokenizer's operation. (A dictionary word -> ids in front of it was
    expected to double the speed and took 1.6 times as long: 8 MB/s instead of 12 on the same core,
    for the dictionary does not stay in the processor's cache.)

    Args:
      tokenizer: any of `text.tokenizer`.
      options: what to make of the text.
    """

    def __init__(self, tokenizer: Any, options: EncodingOptions):
        import tensorflow as tf

        self._options = options
        self._unk_id = tokenizer.unk_id
        self._split = None
        if options.sentences != "lines":
            from keras_bert_suite.text.sentences import split_sentences

            self._split = split_sentences
        self._ragged_ids = tf.function(
            tokenizer.ragged_ids, input_signature=[tf.TensorSpec([None], tf.string)]
        )

    def encode(self, blocks: Iterable[Block]) -> dict[str, EncodedRun]:
        """Gives shard name -> its documents, for the shards that have some.

        Raises:
          ValueError: bad text, with file and line.
        """
        builders: dict[str, RunBuilder] = collections.defaultdict(RunBuilder)
        for block in blocks:
            documents = documents_of(block, self._options.form)
            for chunk in _chunks(documents):
                self._encode_chunk(chunk, builders)
        return {name: builder.build() for name, builder in builders.items()}

    def _encode_chunk(self, documents: list[Document], builders: dict[str, RunBuilder]) -> None:
        """Encodes documents; all their sentences go through the tokenizer at once."""
        kept = []
        for document in documents:
            reason = self._options.filters.reason(document)
            if reason is None:
                kept.append(document)
            else:
                builders[self._options.shard_of(document)].add(document, reason=reason)
        mode = self._options.sentences
        texts = [sentences_of(document, mode=mode, split=self._split) for document in kept]
        ids, splits = self._tokenized([sentence for text in texts for sentence in text])
        lengths, sentence = np.diff(splits), 0
        for document, sentences in zip(kept, texts, strict=True):
            end = sentence + len(sentences)
            builder = builders[self._options.shard_of(document)]
            own_ids = ids[splits[sentence] : splits[end]]
            self._add(builder, document, own_ids, lengths[sentence:end])
            sentence = end

    def _tokenized(self, texts: Sequence[str]) -> tuple[np.ndarray, np.ndarray]:
        import tensorflow as tf

        ragged = self._ragged_ids(tf.constant(texts, tf.string, [len(texts)]))
        return ragged.values.numpy(), ragged.row_splits.numpy()

    def _add(
        self, builder: RunBuilder, document: Document, ids: np.ndarray, counts: np.ndarray
    ) -> None:
        lengths = _bounded_lengths(counts[counts > 0].tolist())
        encoded, start = [], 0
        for piece in _pieces(lengths):
            end = start + sum(piece)
            encoded.append(
                encode_record(
                    document_id=document.document_id,
                    token_ids=ids[start:end].tolist(),
                    sentence_lengths=piece,
                )
            )
            start = end
        builder.add(
            document,
            sentence_lengths=lengths,
            records=encoded,
            unknown_tokens=int(np.count_nonzero(ids == self._unk_id)),
        )


def _chunks(documents: Iterable[Document]) -> Iterator[list[Document]]:
    chunk: list[Document] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += document.num_characters
        if size >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _bounded_lengths(lengths: list[int]) -> list[int]:
    """Cuts sentences that are longer than a record."""
    if not lengths or max(lengths) <= MAX_RECORD_TOKENS:
        return lengths
    bounded: list[int] = []
    for length in lengths:
        whole, rest = divmod(length, MAX_RECORD_TOKENS)
        bounded.extend([MAX_RECORD_TOKENS] * whole + [rest] * (rest > 0))
    return bounded


def _pieces(lengths: list[int]) -> Iterator[list[int]]:
    """Groups sentence lengths to records of at most MAX_RECORD_TOKENS tokens."""
    piece: list[int] = []
    size = 0
    for length in lengths:
        if piece and size + length > MAX_RECORD_TOKENS:
            yield piece
            piece, size = [], 0
        piece.append(length)
        size += length
    if piece:
        yield piece
