"""Parquet files -> blocks of rows, one row group after the other."""

from __future__ import annotations

from collections.abc import Iterator

from keras_bert_suite.data.compression import OpenFile, open_local
from keras_bert_suite.data.document_reading import Block, TextForm

_ROWS_OF_A_BATCH = 256


def read_parquet_blocks(
    path: str, *, form: TextForm, file: int, open_file: OpenFile = open_local
) -> Iterator[Block]:
    """Reads the text column of a parquet file.

    Args:
      path, form, file, open_file: see `blocks.read_blocks`.

    Raises:
      ValueError: pyarrow is not installed; the file is damaged; it has no such column of strings.
    """
    try:
        import pyarrow
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ValueError(
            f"{path}: reading parquet files needs pyarrow, which is not installed. "
            "Remedy: pip install 'keras-bert-suite[parquet]'."
        ) from error

    row = 1
    try:
        with open_file(path) as stream:
            table = parquet.ParquetFile(stream)
            _check_column(path, table.schema_arrow, form.text_field)
            for batch in table.iter_batches(_ROWS_OF_A_BATCH, columns=[form.text_field]):
                texts = tuple(batch.column(0).to_pylist())
                if texts:
                    size = sum(len(text) for text in texts if text)
                    yield Block(
                        path=path, file=file, line=row, kind="rows", rows=texts, num_bytes=size
                    )
                row += len(texts)
    except (pyarrow.ArrowException, UnicodeDecodeError, OSError) as error:
        if isinstance(error, OSError) and error.errno is not None:
            raise
        raise ValueError(
            f"{path}, row {row} or later: the parquet file is damaged ({error}). "
            "Remedy: download or write the file again."
        ) from error


def _check_column(path: str, schema, name: str) -> None:
    import pyarrow

    index = schema.get_field_index(name)
    if index < 0:
        raise ValueError(
            f"{path}: the file must have a column {name!r}. Received: {', '.join(schema.names)}. "
            "Remedy: name the column that holds the text with --text_field."
        )
    kind = schema.field(index).type
    if not (pyarrow.types.is_string(kind) or pyarrow.types.is_large_string(kind)):
        raise ValueError(
            f"{path}: the column {name!r} must hold strings. Received: {kind}. "
            "Remedy: name the column that holds the text with --text_field."
        )
