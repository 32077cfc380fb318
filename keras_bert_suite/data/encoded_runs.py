"""Encoded documents on their way to a shard: what is between encoding and writing."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from keras_bert_suite.data.document_filters import REASONS
from keras_bert_suite.data.documents import Document

# What is known of a document part: 66 bytes.
PART = np.dtype(
    [
        ("digest_low", "<u8"),
        ("digest_high", "<u8"),
        ("whole_low", "<u8"),
        ("whole_high", "<u8"),
        ("line", "<u8"),
        ("num_bytes", "<u8"),
        ("file", "<u4"),
        ("num_sentences", "<u4"),
        ("num_records", "<u4"),
        ("unknown_tokens", "<u4"),
        ("first", "u1"),
        ("reason", "u1"),  # 0: kept; else 1 + index in REASONS.
    ]
)
_SIZES = struct.Struct("<4Q")


@dataclass(frozen=True, kw_only=True)
class EncodedRun:
    """Document parts of one shard, in any order.

    Attributes:
      parts: PART [parts].
      sentence_lengths: int32 [sentences], tokens, part after part.
      record_sizes: uint32 [records], bytes, part after part.
      payload: the records one after the other.
    """

    parts: np.ndarray
    sentence_lengths: np.ndarray
    record_sizes: np.ndarray
    payload: bytes | memoryview

    def to_bytes(self) -> bytes:
        """Gives bytes that `from_bytes` reads."""
        arrays = (self.parts, self.sentence_lengths, self.record_sizes)
        sizes = _SIZES.pack(*map(len, arrays), len(self.payload))
        return b"".join([sizes, *(array.tobytes() for array in arrays), self.payload])

    @classmethod
    def from_bytes(cls, data: bytes) -> EncodedRun:
        """Reads `to_bytes`'s value; the payload is not copied."""
        parts, sentences, records, payload = _SIZES.unpack_from(data)
        position = _SIZES.size
        arrays = []
        for count, kind in ((parts, PART), (sentences, "<i4"), (records, "<u4")):
            array = np.frombuffer(data, kind, count, position)
            arrays.append(array)
            position += array.nbytes
        if len(data) != position + payload:
            raise ValueError(f"An encoded run has {position + payload} bytes, not {len(data)}.")
        return cls(
            parts=arrays[0],
            sentence_lengths=arrays[1],
            record_sizes=arrays[2],
            payload=memoryview(data)[position:],
        )


class RunBuilder:
    """Collects the document parts of one shard."""

    def __init__(self) -> None:
        self._parts: list[tuple] = []
        self._sentence_lengths: list[Sequence[int]] = []
        self._records: list[bytes] = []

    def add(
        self,
        document: Document,
        *,
        sentence_lengths: Sequence[int] = (),
        records: Iterable[bytes] = (),
        unknown_tokens: int = 0,
        reason: str | None = None,
    ) -> None:
        """Adds one document part; with `reason` one that is left out."""
        before = len(self._records)
        self._records.extend(records)
        added = self._records[before:]
        self._sentence_lengths.append(sentence_lengths)
        self._parts.append(
            (
                *_halves(document.digest),
                *_halves(document.whole),
                document.line,
                sum(map(len, added)),
                document.file,
                len(sentence_lengths),
                len(added),
                unknown_tokens,
                document.first,
                0 if reason is None else 1 + REASONS.index(reason),
            )
        )

    def build(self) -> EncodedRun:
        lengths = [np.asarray(lengths, "<i4") for lengths in self._sentence_lengths]
        return EncodedRun(
            parts=np.array(self._parts, PART),
            sentence_lengths=np.concatenate([np.zeros([0], "<i4"), *lengths]),
            record_sizes=np.array([len(record) for record in self._records], "<u4"),
            payload=b"".join(self._records),
        )


def _halves(digest: bytes) -> tuple[int, int]:
    return int.from_bytes(digest[:8], "little"), int.from_bytes(digest[8:], "little")
