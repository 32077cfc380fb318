"""Documents -> serialized token records, in this process or in several."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from typing import Any

import numpy as np

from keras_bert_suite.data.documents import Document, sentences_of
from keras_bert_suite.data.records import encode_record

# Longer documents are cut into records of at most this many tokens, at sentence ends.
MAX_RECORD_TOKENS = 8192


@dataclass(frozen=True, kw_only=True)
class EncodedPart:
    """What a worker gives back for one document part."""

    document_id: int
    held_out_draw: float
    first: bool
    records: list[bytes]
    sentence_lengths: list[int]
    unknown_tokens: int


class DocumentEncoder:
    """Turns documents into records: sentences, token ids, pieces."""

    def __init__(self, tokenizer: Any, *, mode: str):
        import tensorflow as tf

        self._mode = mode
        self._unk_id = tokenizer.unk_id
        self._split = None
        if mode == "split":
            from keras_bert_suite.text.sentences import split_sentences

            self._split = split_sentences
        self._ragged_ids = tf.function(
            tokenizer.ragged_ids, input_signature=[tf.TensorSpec([None], tf.string)]
        )

    def encode(self, documents: Sequence[Document]) -> list[EncodedPart]:
        """Encodes documents; all their sentences go through the tokenizer at once."""
        import tensorflow as tf

        texts = [sentences_of(d, mode=self._mode, split=self._split) for d in documents]
        ragged = self._ragged_ids(
            tf.constant([s for t in texts for s in t], tf.string, [sum(map(len, texts))])
        )
        ids, splits = ragged.values.numpy(), ragged.row_splits.numpy()
        parts, sentence = [], 0
        for document, sentences in zip(documents, texts, strict=True):
            bounds = splits[sentence : sentence + len(sentences) + 1]
            parts.append(self._part(document, ids[bounds[0] : bounds[-1]], np.diff(bounds)))
            sentence += len(sentences)
        return parts

    def _part(self, document: Document, ids: np.ndarray, counts: np.ndarray) -> EncodedPart:
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
        return EncodedPart(
            document_id=document.document_id,
            held_out_draw=document.held_out_draw,
            first=document.first,
            records=encoded,
            sentence_lengths=lengths,
            unknown_tokens=int(np.count_nonzero(ids == self._unk_id)),
        )


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


_encoder: DocumentEncoder | None = None  # of a worker process


def _start_worker(make_tokenizer: Callable[[], Any], mode: str) -> None:
    """Prepares a worker process: one thread, no orphan, Ctrl-C is left to the parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()
    import tensorflow as tf

    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    tf.config.set_visible_devices([], "GPU")
    global _encoder
    _encoder = DocumentEncoder(make_tokenizer(), mode=mode)


def _exit_after(parent: Any) -> None:
    """Leaves when the parent was killed, which nothing else would tell this process."""
    parent.join()
    os._exit(1)


def _encode_in_worker(chunk: list[Document]) -> list[EncodedPart]:
    assert _encoder is not None
    return _encoder.encode(chunk)


def encoded_by_workers(
    chunks: Iterator[list[Document]],
    make_tokenizer: Callable[[], Any],
    mode: str,
    workers: int,
) -> Iterator[list[EncodedPart]]:
    """Encodes chunks in processes, in order, with a bounded number of them under way."""
    executor = ProcessPoolExecutor(
        workers,
        mp_context=multiprocessing.get_context("spawn"),
        initializer=_start_worker,
        initargs=(make_tokenizer, mode),
    )
    pending: deque[Future] = deque()
    try:
        for chunk in chunks:
            pending.append(executor.submit(_encode_in_worker, chunk))
            if len(pending) > 2 * workers + 1:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "A worker process died, perhaps for lack of memory or because it could not load the "
            f"tokenizer. Remedy: look at its output above and try --workers={max(1, workers // 2)}."
        ) from error
    finally:
        executor.shutdown(wait=True, cancel_futures=True)
