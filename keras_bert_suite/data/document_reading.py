"""Blocks of a file -> documents.

What a document is depends on the file's form: in text files a blank line separates documents, JSON
lines and parquet files hold one a row, and a whole file can be one (books).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from keras_bert_suite.data.compression import OpenFile, open_local
from keras_bert_suite.data.documents import Document, document_of_lines, document_parts
from keras_bert_suite.text.surrogates import encodable

DOCUMENT_MODES = ("blank_line", "file")


@dataclass(frozen=True, kw_only=True)
class TextForm:
    """How documents stand in the input files.

    Attributes:
      documents: "blank_line" or "file": what separates the documents of text files.
      text_field: the key of JSON lines, or the column of parquet files, that holds the text.
    """

    documents: str = "blank_line"
    text_field: str = "text"

    def __post_init__(self) -> None:
        if self.documents not in DOCUMENT_MODES:
            raise ValueError(
                f"documents must be one of {', '.join(DOCUMENT_MODES)}. "
                f"Received: {self.documents!r}."
            )
        if not self.text_field:
            raise ValueError("text_field must name a field. Received: ''.")


@dataclass(frozen=True, kw_only=True)
class Block:
    """Whole documents of one file, not yet taken apart (or parts of one, in `parts`).

    Attributes:
      path, file: see `Document`.
      line: number of the first line, from 1 (of the first row in a parquet file).
      kind: "text" (documents between blank lines), "json" (one a line), "file" (one document),
        "rows" (one an entry of `rows`) or "parts".
      data: UTF-8 text of the first three kinds.
      rows, parts: of the other two.
      num_bytes: size of the text as it was read, in bytes.
    """

    path: str
    file: int
    line: int
    kind: str
    num_bytes: int
    data: bytes = b""
    rows: tuple[str | None, ...] = ()
    parts: tuple[Document, ...] = ()


def documents_of(block: Block, form: TextForm) -> Iterator[Document]:
    """Gives the documents of a block, long ones in parts.

    Raises:
      ValueError: a line is not UTF-8, not JSON, or has no string in the text field; the message
        names file and line.
    """
    if block.kind == "parts":
        yield from block.parts
    elif block.kind == "rows":
        yield from _row_documents(block, form)
    elif block.kind == "json":
        yield from _json_documents(block, form)
    else:
        lines = list(map(str.strip, decoded(block).split("\n")))
        is_file = block.kind == "file"
        spans = _without_outer_blanks(lines) if is_file else _between_blank_lines(lines)
        for start, end in spans:
            yield from document_of_lines(
                lines[start:end],
                line=block.line + start,
                path=block.path,
                file=block.file,
                joined=is_file,
            )


def read_documents(
    path: str,
    *,
    form: TextForm | None = None,
    file: int = 0,
    on_bytes: Callable[[int], None] | None = None,
    open_file: OpenFile = open_local,
) -> Iterator[Document]:
    """Reads the documents of one file, in order; see `blocks.read_blocks`.

    Args:
      path: the file.
      form: how documents stand in it.
      file: its place among the input files.
      on_bytes: called with the number of (decompressed) bytes of what was read, for progress bars.
      open_file: path -> binary stream.

    Raises:
      ValueError, OSError: as `blocks.read_blocks` and `documents_of`.
    """
    from keras_bert_suite.data.blocks import read_blocks

    form = form or TextForm()
    for block in read_blocks(path, form=form, file=file, open_file=open_file):
        if on_bytes is not None:
            on_bytes(block.num_bytes)
        yield from documents_of(block, form)


def decoded(block: Block) -> str:
    """Gives the block's text.

    Raises:
      ValueError: it is not UTF-8.
    """
    try:
        return block.data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = block.line + block.data.count(b"\n", 0, error.start)
        column = error.start - block.data.rfind(b"\n", 0, error.start)
        raise ValueError(
            f"{block.path}, line {line}: the text must be UTF-8. Received: byte "
            f"0x{block.data[error.start]:02x} at column {column}. "
            "Remedy: convert the file, for instance with iconv."
        ) from error


def _between_blank_lines(lines: list[str]) -> Iterator[tuple[int, int]]:
    """[start, end) of each run of lines that are not blank."""
    start = 0
    for end, line in enumerate(lines):
        if not line:
            if end > start:
                yield start, end
            start = end + 1
    if len(lines) > start:
        yield start, len(lines)


def _without_outer_blanks(lines: list[str]) -> Iterator[tuple[int, int]]:
    """[start, end) of the lines from the first that is not blank to the last."""
    numbers = [number for number, line in enumerate(lines) if line]
    if numbers:
        yield numbers[0], numbers[-1] + 1


def _row_documents(block: Block, form: TextForm) -> Iterator[Document]:
    for number, text in enumerate(block.rows, start=block.line):
        if text is None:
            raise ValueError(
                f"{block.path}, row {number}: the column {form.text_field!r} must hold text. "
                "Received: null. Remedy: leave the row out."
            )
        yield from _document_of_text(text, block, number)


def _json_documents(block: Block, form: TextForm) -> Iterator[Document]:
    field = form.text_field
    for number, line in enumerate(decoded(block).split("\n"), start=block.line):
        if not line or line.isspace():
            continue
        try:
            value = json.loads(line)
        except (json.JSONDecodeError, RecursionError) as error:
            reason = (
                f"{error.msg} at column {error.colno}"
                if isinstance(error, json.JSONDecodeError)
                else "it is nested too deeply"
            )
            raise ValueError(
                f"{block.path}, line {number}: every line must be a JSON object. Received: "
                f"{line[:80]!r} ({reason})."
            ) from error
        text = value.get(field) if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise ValueError(
                f'{block.path}, line {number}: the object must have a string under "{field}". '
                + _no_text(value, field)
            )
        yield from _document_of_text(text, block, number)


def _no_text(value: Any, field: str) -> str:
    """What there is in the place of a string under `field`, and what to do."""
    if isinstance(value, dict) and field in value:
        found = json.dumps(value[field], ensure_ascii=False)
        return f"Received there: {found:.80}. Remedy: leave such lines out of the file."
    keys = sorted(value) if isinstance(value, dict) else type(value).__name__
    return f"Received: {keys}. Remedy: name the field that holds the text with --text_field."


def _document_of_text(text: str, block: Block, number: int) -> Iterator[Document]:
    lines = [part.strip() for part in encodable(text).splitlines()] or [""]
    yield from document_parts(
        ((number, line) for line in lines), path=block.path, file=block.file, joined=True
    )
