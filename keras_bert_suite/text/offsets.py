"""From bytes of the normalised text to characters of the original text, inside the graph."""

from __future__ import annotations

from typing import Protocol

import tensorflow as tf


class Normalizer(Protocol):
    """What turned the original texts into the normalised ones."""

    def keeps_bytes(self, texts: tf.Tensor) -> tf.Tensor:
        """bool [batch]: True where every character surely keeps its place, byte by byte."""
        ...

    def bytes_left(self, characters: tf.RaggedTensor) -> tf.Tensor:
        """int32 [all characters]: how many bytes of the normalised text each one leaves."""
        ...


def character_offsets(
    texts: tf.Tensor,
    starts: tf.RaggedTensor,
    ends: tf.RaggedTensor,
    *,
    normalized: tf.Tensor,
    normalizer: Normalizer,
) -> tuple[tf.RaggedTensor, tf.RaggedTensor]:
    """Offsets in characters of the original texts.

    A piece stands for the characters from the one that its first byte came from to the one that
    its last byte came from: characters that normalisation deletes (accents, control characters)
    count only where they stand inside. This is what the `tokenizers` library reports. A character
    is a Unicode code point; a malformed byte sequence counts as one, as in
    `bytes.decode("utf-8", "replace")`.

    Normalisation changes each character by itself (final sigma keeps its two bytes), so the
    normaliser can tell how many bytes each of them leaves.

    Args:
      texts: string [batch], the original texts.
      starts: int32 [batch, (pieces)], first byte of each piece in the normalised text.
      ends: int32 [batch, (pieces)], the byte after the last, > start.
      normalized: string [batch], the normalised texts.
      normalizer: what made them.

    Returns:
      (starts, ends): int32 [batch, (pieces)], characters.
    """
    first, last = _utf8_characters(normalized, starts, ends)
    # Most rows are done: their characters are where they were. The others are overwritten.
    moved = ~normalizer.keeps_bytes(texts)
    rows = tf.where(moved)[:, 0]
    pieces = tf.where(tf.gather(moved, starts.value_rowids()))
    origin = _Origin(tf.gather(texts, rows), normalizer=normalizer)
    first = tf.tensor_scatter_nd_update(first, pieces, origin.characters(tf.gather(starts, rows)))
    last = tf.tensor_scatter_nd_update(last, pieces, origin.characters(tf.gather(ends, rows) - 1))
    return starts.with_flat_values(first), ends.with_flat_values(last + 1)


def _utf8_characters(
    texts: tf.Tensor, starts: tf.RaggedTensor, ends: tf.RaggedTensor
) -> tuple[tf.Tensor, tf.Tensor]:
    """int32 [all pieces] twice: characters of the bytes `starts` and `ends - 1` of each text."""
    encoded = tf.io.decode_raw(tf.strings.reduce_join(texts), tf.uint8)
    begins = tf.bitwise.bitwise_and(encoded, 0xC0) != 0x80
    begun = tf.cumsum(tf.cast(begins, tf.int32))
    first_bytes = tf.cumsum(tf.strings.length(texts), exclusive=True)
    first_byte = tf.gather(first_bytes, starts.value_rowids())
    begun_before = tf.gather(begun, first_byte)
    return (
        tf.gather(begun, first_byte + starts.flat_values) - begun_before,
        tf.gather(begun, first_byte + ends.flat_values - 1) - begun_before,
    )


class _Origin:
    """Which character of the original text each byte of the normalised text came from."""

    def __init__(self, texts: tf.Tensor, *, normalizer: Normalizer):
        characters = tf.strings.unicode_decode(texts, "UTF-8", errors="replace")
        sizes = normalizer.bytes_left(characters)
        # All rows in one line of bytes: a row's bytes follow those of the row before.
        self._byte_ends = tf.cumsum(sizes)
        self._first_character = tf.cast(characters.row_splits[:-1], tf.int32)
        self._first_byte = tf.gather(tf.pad(self._byte_ends, [[1, 0]]), self._first_character)

    def characters(self, positions: tf.RaggedTensor) -> tf.Tensor:
        """int32 [all positions]: the character, counted in its row, that left each byte.

        Args:
          positions: int32 [rows, (positions)], bytes of the normalised rows.
        """
        rows = positions.value_rowids()
        position = positions.flat_values + tf.gather(self._first_byte, rows)
        # The first character that ends beyond the byte; deleted characters end where they begin.
        character = tf.searchsorted(self._byte_ends, position, side="right")
        return character - tf.gather(self._first_character, rows)
