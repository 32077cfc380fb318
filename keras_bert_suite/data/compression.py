"""Compressed files as streams of bytes, and what is said of damaged ones."""

from __future__ import annotations

import bz2
import contextlib
import gzip
import io
import lzma
import zlib
from collections.abc import Callable, Iterator
from typing import IO

SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
# A block of zstd gives at most 128 KiB for 4 bytes (RFC 8878, section 3.1.1.2): what is read at
# once can then not become more than 32 MiB, however malicious the file.
_ZSTD_READ_BYTES = 1024

OpenFile = Callable[[str], IO[bytes]]


def open_local(path: str) -> IO[bytes]:
    """Opens a file of this machine for reading bytes."""
    return open(path, "rb")


def uncompressed_name(path: str) -> str:
    """Gives the path without the suffix of a compression."""
    for suffix in SUFFIXES:
        if path.endswith(suffix):
            return path.removesuffix(suffix)
    return path


@contextlib.contextmanager
def open_decompressed(
    path: str, open_file: OpenFile = open_local, *, line: Callable[[], int] = lambda: 1
) -> Iterator[IO[bytes]]:
    """Opens a file for reading; its suffix tells the compression.

    Args:
      path: `.gz`, `.bz2`, `.xz` and `.zst` are decompressed, anything else is read as it is.
      open_file: path -> binary stream of the bytes on disk.
      line: tells the number of the line that is being read, for the messages.

    Yields:
      A buffered binary stream.

    Raises:
      ValueError: inside the block, reading met a damaged or incomplete compressed stream.
      OSError: the file cannot be opened.
    """
    with open_file(path) as raw, _decompressed(path, raw) as stream:
        try:
            yield stream
        except (gzip.BadGzipFile, EOFError, zlib.error, lzma.LZMAError, _DamagedError) as error:
            raise _damaged(path, line(), error) from error
        except OSError as error:
            # bz2 has no error of its own for bytes that are not bzip2's.
            if path.endswith(".bz2") and error.errno is None:
                raise _damaged(path, line(), error) from error
            raise


def _decompressed(path: str, raw: IO[bytes]) -> contextlib.AbstractContextManager[IO[bytes]]:
    if path.endswith(".gz"):
        return gzip.open(raw, "rb")  # type: ignore[return-value]
    if path.endswith(".bz2"):
        return bz2.open(raw, "rb")
    if path.endswith(".xz"):
        return lzma.open(raw, "rb")  # type: ignore[return-value]
    if path.endswith(".zst"):
        return io.BufferedReader(_ZstdStream(raw), 1 << 17)
    return contextlib.nullcontext(raw)


def _damaged(path: str, line: int, error: Exception) -> ValueError:
    kind = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}[
        next(suffix for suffix in SUFFIXES if path.endswith(suffix))
    ]
    return ValueError(
        f"{path}, line {line} or later: the {kind} stream is broken ({error}). "
        "Remedy: compress or download the file again."
    )


class _DamagedError(Exception):
    """Bytes that are not zstd's, or too few."""


class _ZstdStream(io.RawIOBase):
    """Decompressed bytes of zstd frames; unlike zstandard's reader it tells an incomplete one."""

    def __init__(self, raw: IO[bytes]):
        import zstandard

        self._raw = raw
        self._error = zstandard.ZstdError
        self._decompressor = zstandard.ZstdDecompressor()
        self._frame = self._decompressor.decompressobj()
        self._begun = False
        self._ready = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer) -> int:
        while not self._ready:
            if self._frame.eof:
                rest = self._frame.unused_data
                self._frame = self._decompressor.decompressobj()
                self._begun = False
            else:
                rest = b""
            compressed = rest or self._raw.read(_ZSTD_READ_BYTES)
            if not compressed:
                if self._begun:
                    raise _DamagedError("it ends in the middle of a frame")
                return 0
            self._begun = True
            try:
                self._ready = memoryview(self._frame.decompress(compressed))
            except self._error as error:
                raise _DamagedError(str(error)) from error
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count
