"""Files -> blocks of whole documents of about a megabyte.

Blocks are cut without taking the text apart, so that one process can read for many that encode:
plain text passes at the speed of the disk, compressed text at that of its decompressor.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Iterator
from typing import IO, Any

from keras_bert_suite.data.compression import (
    OpenFile,
    open_decompressed,
    open_local,
    uncompressed_name,
)
from keras_bert_suite.data.document_reading import (
    Block,
    TextForm,
    decoded,
)
from keras_bert_suite.data.documents import document_parts
from keras_bert_suite.data.parquet_files import read_parquet_blocks

BLOCK_BYTES = 1 << 20
# A line cannot be cut: this bounds the memory that one line may take.
MAX_LINE_BYTES = 1 << 26
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_BLANK_LINE = re.compile(rb"\n[ \t\r]*\n")
_JSON_SUFFIXES = (".jsonl", ".json", ".ndjson")


def read_blocks(
    path: str,
    *,
    form: TextForm,
    file: int = 0,
    open_file: OpenFile = open_local,
) -> Iterator[Block]:
    """Reads one file block by block.

    `.parquet` files hold a document a row; `.jsonl`, `.json`, `.ndjson` and files without a suffix
    whose first line is a JSON object (WikiExtractor's) a document a line; all others are text.
    All but parquet may be compressed (`.gz`, `.bz2`, `.xz`, `.zst`). UTF-8, with or without a byte
    order mark.

    Args:
      path: the file.
      form: how documents stand in it.
      file: its place among the input files.
      open_file: path -> binary stream of the bytes on disk.

    Raises:
      ValueError: the file is empty or has no text, its compressed stream or its parquet structure
        is damaged, a line is longer than 64 MB, or the text of a very long document is not UTF-8;
        the message names file and line.
      OSError: the file cannot be opened.
    """
    if path.endswith(".parquet"):
        blocks = read_parquet_blocks(path, form=form, file=file, open_file=open_file)
    else:
        blocks = _BlockReader(path, form, file).read(open_file)
    empty = True
    for block in blocks:
        empty = False
        yield block
    if empty:
        raise ValueError(
            f"{path}: the file holds no document. Every input file must hold text. "
            "Remedy: remove the file or leave it out of the pattern."
        )


class _BlockReader:
    """Reads one text or JSON-lines file; `line` is the number of the first line not yet given."""

    def __init__(self, path: str, form: TextForm, file: int):
        self._path = path
        self._file = file
        self._form = form
        self._stream: IO[bytes]
        self.line = 1

    def read(self, open_file: OpenFile) -> Iterator[Block]:
        with open_decompressed(self._path, open_file, line=lambda: self.line) as self._stream:
            data = self._stream.read(BLOCK_BYTES).removeprefix(_BYTE_ORDER_MARK)
            if self._is_json(data):
                yield from self._cut(data, "json")
            elif self._form.documents == "file":
                yield from self._whole_file(data)
            else:
                yield from self._cut(data, "text")

    def _is_json(self, data: bytes) -> bool:
        name = os.path.basename(uncompressed_name(self._path))
        if name.endswith(_JSON_SUFFIXES):
            return True
        return "." not in name and re.match(rb'\s*\{\s*"', data) is not None

    def _block(self, data: bytes, kind: str) -> Iterator[Block]:
        """The block of `data`, unless that is blank."""
        if data and not data.isspace():
            yield self._made(kind=kind, data=data, num_bytes=len(data))
        self.line += data.count(b"\n")

    def _made(self, **fields: Any) -> Block:
        return Block(path=self._path, file=self._file, line=self.line, **fields)

    def _cut(self, data: bytes, kind: str) -> Iterator[Block]:
        while fresh := self._stream.read(BLOCK_BYTES):
            end = data.rfind(b"\n") + 1 if kind == "json" else _end_of_documents(data)
            if end:
                yield from self._block(data[:end], kind)
                data = data[end:] + fresh
            elif kind == "text" and len(data) > BLOCK_BYTES:
                data = yield from self._long_document(data + fresh, one_file=False)
            else:
                data += fresh
                if kind == "json" and len(data) > MAX_LINE_BYTES:
                    raise self._too_long()
        yield from self._block(data, kind)

    def _whole_file(self, data: bytes) -> Iterator[Block]:
        rest = self._stream.read(BLOCK_BYTES)
        if not rest:
            yield from self._block(data, "file")
        else:
            yield from self._long_document(data + rest, one_file=True)

    def _long_document(self, data: bytes, *, one_file: bool):
        """Gives the first document of `data` and what follows in the stream, in parts.

        Returns:
          The bytes that were read and do not belong to it.
        """
        source = _Pushback(data, self._stream)

        def lines() -> Iterator[tuple[int, str]]:
            begun = False
            while raw := source.readline():
                if len(raw) > MAX_LINE_BYTES:
                    raise self._too_long()
                number, text = self.line, self._text_of(raw)
                self.line += 1
                if text or one_file:
                    begun = True
                    yield number, text
                elif begun:
                    return

        numbered = _without_outer_blanks(lines()) if one_file else lines()
        for part in document_parts(numbered, path=self._path, file=self._file, joined=one_file):
            size = len("\n".join(part.paragraphs).encode())
            yield self._made(kind="parts", parts=(part,), num_bytes=size)
        return source.rest()

    def _text_of(self, raw: bytes) -> str:
        try:
            return raw.decode("utf-8").strip()
        except UnicodeDecodeError:
            return decoded(self._made(kind="text", data=raw, num_bytes=len(raw)))

    def _too_long(self) -> ValueError:
        return ValueError(
            f"{self._path}, line {self.line}: a line may have {MAX_LINE_BYTES >> 20} MB. "
            "Remedy: cut the line, or check whether the file is text."
        )


def _without_outer_blanks(lines: Iterator[tuple[int, str]]) -> Iterator[tuple[int, str]]:
    """Leaves out blank lines at both ends; those within separate paragraphs."""
    begun = False
    blank: list[tuple[int, str]] = []
    for numbered in lines:
        if not numbered[1]:
            blank.append(numbered)
            continue
        if begun:
            yield from blank
        begun, blank = True, []
        yield numbered


class _Pushback:
    """Lines of bytes that were read too far, and then of the stream."""

    def __init__(self, data: bytes, stream: IO[bytes]):
        self._ahead = io.BytesIO(data)
        self._stream = stream

    def readline(self) -> bytes:
        line = self._ahead.readline()
        if not line.endswith(b"\n"):
            line += self._stream.readline(MAX_LINE_BYTES + 1)
        return line

    def rest(self) -> bytes:
        return self._ahead.read()


def _end_of_documents(data: bytes) -> int:
    """Where the last blank line ends after which a document may begin; 0 if there is none."""
    quick = data.rfind(b"\n\n")
    if quick >= len(data) // 2:
        return quick + 2
    end = quick + 2 if quick >= 0 else 0
    for match in _BLANK_LINE.finditer(data, max(0, quick)):
        end = max(end, match.end())
    return end
