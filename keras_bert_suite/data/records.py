"""Sharded TFRecord files of token ids, one piece of a document a record: names, writing, reading.

A record is a tf.train.Example with three int64 features:
  document_id [1]       identity of the document; pieces of one document share it
  token_ids [tokens]    WordPiece ids without special tokens, sentence after sentence
  sentence_lengths [n]  tokens of each sentence, each >= 1; their sum is the number of token_ids
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tensorflow as tf

STATS_FILE = "stats.json"
_PARSE_BATCH = 512


def shard_name(split: str, index: int, count: int) -> str:
    """Gives the name of a shard, such as `train-00003-of-00016.tfrecord`."""
    return f"{split}-{index:05d}-of-{count:05d}.tfrecord"


def encode_record(
    *, document_id: int, token_ids: Sequence[int], sentence_lengths: Sequence[int]
) -> bytes:
    """Gives the bytes of one record (see the module's docstring)."""
    example = tf.train.Example()
    feature = example.features.feature
    feature["document_id"].int64_list.value.append(document_id)
    feature["token_ids"].int64_list.value.extend(token_ids)
    feature["sentence_lengths"].int64_list.value.extend(sentence_lengths)
    return example.SerializeToString(deterministic=True)


def vocabulary_fingerprint(tokenizer: Any) -> dict[str, Any]:
    """Gives what records remember of the tokenizer that made them: size, SHA-256, casing."""
    text = "\n".join(tokenizer.vocabulary).encode("utf-8")
    return {
        "vocab_size": int(tokenizer.vocab_size),
        "vocabulary_sha256": hashlib.sha256(text).hexdigest(),
        "lowercase": bool(tokenizer.lowercase),
    }


class ShardWriter:
    """Writes one shard; errors of the file system come as OSError naming the file."""

    def __init__(self, path: str | os.PathLike):
        self._path = os.fspath(path)
        with _as_os_error(self._path):
            self._writer = tf.io.TFRecordWriter(self._path)

    def write(self, record: bytes) -> None:
        with _as_os_error(self._path):
            self._writer.write(record)

    def close(self) -> None:
        with _as_os_error(self._path):
            self._writer.close()


class _as_os_error:  # noqa: N801 (a context manager reads like a function)
    def __init__(self, path: str):
        self._path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, tf.errors.OpError):
            full = isinstance(error, tf.errors.ResourceExhaustedError)
            number = errno.ENOSPC if full else errno.EIO
            raise OSError(number, f"{os.strerror(number)} ({error.message})", self._path) from error


@dataclass(frozen=True, kw_only=True)
class TokenRecords:
    """The records of some shards as flat arrays.

    Attributes:
      tokens: int32 [tokens], all records one after the other.
      sentence_starts: int64 [sentences + 1], offsets into `tokens`; the last is len(tokens).
      record_starts: int64 [records + 1], offsets into the sentences; the last is their number.
      document_ids: int64 [records].
    """

    tokens: np.ndarray
    sentence_starts: np.ndarray
    record_starts: np.ndarray
    document_ids: np.ndarray

    @property
    def num_records(self) -> int:
        return len(self.document_ids)


def read_shards(files: Sequence[str], *, vocab_size: int) -> TokenRecords:
    """Decodes whole shards into memory (4 bytes a token).

    Args:
      files: TFRecord files, read in this order; empty shards are fine.
      vocab_size: every token id must lie below it.

    Raises:
      ValueError: a damaged file, a record of another form, or a token id of another vocabulary;
        the message names the file and the record's number, from 0.
    """
    tokens, lengths, counts, identities = [], [], [], []
    for file in files:
        for first, batch in _parsed_batches(file):
            _check_batch(batch, file=file, first=first, vocab_size=vocab_size)
            tokens.append(batch["token_ids"].values.numpy().astype(np.int32))
            lengths.append(batch["sentence_lengths"].values.numpy())
            counts.append(batch["sentence_lengths"].row_lengths().numpy())
            identities.append(batch["document_id"].numpy())
    return TokenRecords(
        tokens=_joined(tokens, np.int32),
        sentence_starts=_offsets(_joined(lengths, np.int64)),
        record_starts=_offsets(_joined(counts, np.int64)),
        document_ids=_joined(identities, np.int64),
    )


def count_tokens(files: Iterable[str], *, vocab_size: int) -> np.ndarray:
    """Counts every token id over shards: int64 [vocab_size]. Holds one shard in memory."""
    counts = np.zeros([vocab_size], np.int64)
    for file in files:
        counts += np.bincount(
            read_shards([file], vocab_size=vocab_size).tokens, minlength=vocab_size
        )
    return counts


def check_same_vocabulary(files: Sequence[str], tokenizer: Any) -> None:
    """Compares the tokenizer with the one that made the records, where stats.json tells.

    Shards that were moved away from their stats.json pass; their ids are still checked one by one.

    Raises:
      ValueError: another vocabulary or casing.
    """
    wanted = vocabulary_fingerprint(tokenizer)
    for directory in sorted({os.path.dirname(file) for file in files}):
        path = os.path.join(directory, STATS_FILE)
        if not os.path.exists(path):
            continue
        with open(path, encoding="utf-8") as stream:
            try:
                made_with = json.load(stream).get("tokenizer")
            except (json.JSONDecodeError, AttributeError) as error:
                raise ValueError(
                    f"{path}: not the statistics of a record directory ({error})."
                ) from error
        if made_with is not None and made_with != wanted:
            differing = [key for key in wanted if made_with.get(key) != wanted[key]]
            raise ValueError(
                f"The records in {directory} were made with another tokenizer. Received: "
                + ", ".join(f"{key}={wanted[key]}" for key in differing)
                + f"; {path} says "
                + ", ".join(f"{key}={made_with.get(key)}" for key in differing)
                + ". Remedy: give the tokenizer that made the records, or make them again with "
                "bin/make_pretraining_data.py."
            )


def _joined(parts: list[np.ndarray], dtype: Any) -> np.ndarray:
    return np.concatenate([np.zeros([0], dtype), *parts]).astype(dtype, copy=False)


def _offsets(lengths: np.ndarray) -> np.ndarray:
    return np.concatenate([np.zeros([1], np.int64), np.cumsum(lengths, dtype=np.int64)])


_FEATURES = {
    "document_id": tf.io.FixedLenFeature([], tf.int64),
    "token_ids": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
    "sentence_lengths": tf.io.RaggedFeature(tf.int64, row_splits_dtype=tf.int64),
}


def _parsed_batches(file: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Gives (number of the first record, parsed batch)."""
    with tf.device("/cpu:0"):
        raw_records = iter(tf.data.TFRecordDataset(file).batch(_PARSE_BATCH))
        first = 0
        while True:
            try:
                raw = next(raw_records, None)
            except tf.errors.OpError as error:
                raise _damaged(file, error) from error
            if raw is None:
                return
            try:
                batch = tf.io.parse_example(raw, _FEATURES)
            except tf.errors.InvalidArgumentError as error:
                raise _unparsable(file, first, raw) from error
            yield first, batch
            first += len(raw)


def _damaged(file: str, error: tf.errors.OpError) -> Exception:
    if isinstance(error, (tf.errors.NotFoundError, tf.errors.PermissionDeniedError)):
        return OSError(errno.ENOENT, error.message, file)
    readable = 0
    try:
        for _ in tf.data.TFRecordDataset(file):
            readable += 1
    except tf.errors.OpError:
        pass
    return ValueError(
        f"{file}, record {readable}: the file is damaged or no TFRecord file ({error.message}). "
        "Remedy: copy it again or make it again with bin/make_pretraining_data.py."
    )


def _unparsable(file: str, first: int, raw: tf.Tensor) -> ValueError:
    number = first
    for offset, record in enumerate(raw):
        try:
            tf.io.parse_example(record[tf.newaxis], _FEATURES)
        except tf.errors.InvalidArgumentError:
            number = first + offset
            break
    return ValueError(
        f"{file}, record {number}: not a token record (a tf.train.Example with document_id, "
        "token_ids and sentence_lengths). Remedy: make the records with "
        "bin/make_pretraining_data.py."
    )


def _check_batch(batch: dict[str, Any], *, file: str, first: int, vocab_size: int) -> None:
    lengths = batch["sentence_lengths"]
    token_counts = batch["token_ids"].row_lengths()
    agrees = tf.reduce_sum(lengths, axis=1) == token_counts
    usable = agrees & (token_counts > 0) & (tf.reduce_min(lengths, axis=1) > 0)
    if not tf.reduce_all(usable):
        number = first + int(tf.argmin(tf.cast(usable, tf.int32)))
        raise ValueError(
            f"{file}, record {number}: sentence_lengths must be positive and sum to the number of "
            "token_ids, which must not be 0. Remedy: make the records again."
        )
    ids = batch["token_ids"]
    outside = (ids.values < 0) | (ids.values >= vocab_size)
    if tf.reduce_any(outside):
        position = int(tf.argmax(tf.cast(outside, tf.int32)))
        splits = ids.row_splits.numpy()
        number = first + int(np.searchsorted(splits, position, side="right")) - 1
        raise ValueError(
            f"{file}, record {number}: token id {int(ids.values[position])} is outside the "
            f"vocabulary of {vocab_size}: the records were made with another tokenizer. Remedy: "
            "give the tokenizer that made them, or make them again."
        )
