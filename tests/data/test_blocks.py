"""Blocks: cut between documents wherever they are cut; every form and compression of a corpus."""

import bz2
import gzip
import json
import lzma
import re
import tracemalloc

import pytest
import zstandard

from keras_bert_suite.data import blocks, documents
from keras_bert_suite.data.blocks import read_blocks
from keras_bert_suite.data.document_reading import TextForm, documents_of, read_documents
from keras_bert_suite.data.documents import expand_files

_COMPRESS = {
    ".gz": gzip.compress,
    ".bz2": bz2.compress,
    ".xz": lzma.compress,
    ".zst": zstandard.ZstdCompressor().compress,
}
# Lines of white space of several kinds, Windows line ends and documents of several sizes.
_TEXT = "\n\n".join(
    ["Eins.", "Zwei\r\nzwei.\r\n\r", "drei " * 9, " \t\n\u3000\nVier\nvier\nvier", "F\u00fcnf"] * 4
)


def _written(tmp_path, name, content):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8"))
    return str(path)


def _summary(path, **form):
    return [
        (d.line, d.paragraphs, d.digest, d.whole, d.first)
        for d in read_documents(path, form=TextForm(**form))
    ]


@pytest.mark.parametrize("size", [4, 7, 64, 1000])
@pytest.mark.parametrize("mode", ["blank_line", "file"])
def test_the_size_of_blocks_changes_nothing(tmp_path, monkeypatch, size, mode):
    text = _written(tmp_path, "a.txt", "\ufeff" + _TEXT)
    lines = "\n".join(json.dumps({"text": f"{i} \n\n{i}"}) for i in range(9))
    rows = _written(tmp_path, "a.jsonl", lines)
    whole = [_summary(path, documents=mode) for path in (text, rows)]
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    assert [_summary(path, documents=mode) for path in (text, rows)] == whole
    num_blocks = len(list(read_blocks(text, form=TextForm())))
    assert num_blocks == 1 if size == 1000 else num_blocks > 3


@pytest.mark.parametrize("size", [1, 50, 1 << 20])
@pytest.mark.parametrize("mode", ["blank_line", "file"])
def test_long_documents_come_in_the_same_parts_from_any_blocks(tmp_path, monkeypatch, size, mode):
    monkeypatch.setattr(documents, "PART_CHARACTERS", 8)
    monkeypatch.setattr(blocks, "BLOCK_BYTES", size)
    path = _written(tmp_path, "a.txt", "aaaa\nbbbb\ncccc\ndddd\neeee\n\nffff\n")
    found = list(read_documents(path, form=TextForm(documents=mode)))
    parts = [("aaaa", "bbbb"), ("cccc", "dddd")]
    parts += [("eeee", "", "ffff")] if mode == "file" else [("eeee",), ("ffff",)]
    assert [d.paragraphs for d in found] == parts
    assert [d.line for d in found][:3] == [1, 3, 5]
    assert [d.first for d in found][:3] == [True, False, False]
    # The first part has one digest; the last one's covers the text to its end.
    assert found[0].digest == found[0].whole == found[2].digest != found[2].whole
    other = _written(tmp_path, "b.txt", "aaaa\nbbbb\ncccc\ndddd\nother\n")
    assert next(read_documents(other)).digest == found[0].digest
    assert list(read_documents(other))[2].whole != found[2].whole


@pytest.mark.parametrize("suffix", _COMPRESS)
def test_compressed_files_are_read_as_their_text(tmp_path, suffix):
    plain = _written(tmp_path, "a.txt", _TEXT)
    # Two streams one after the other, as parallel compressors write them.
    data = _TEXT.encode("utf-8")
    compress = _COMPRESS[suffix]
    packed = _written(tmp_path, f"a.txt{suffix}", compress(data[:50]) + compress(data[50:]))
    assert _summary(packed) == _summary(plain)


@pytest.mark.parametrize("suffix", _COMPRESS)
def test_a_damaged_stream_is_named(tmp_path, suffix):
    packed = _COMPRESS[suffix](bytes(range(32, 127)) * 200)
    kind = {".gz": "gzip", ".bz2": "bzip2", ".xz": "xz", ".zst": "zstd"}[suffix]
    for data in (packed[:-3], packed[: len(packed) // 2], b"no stream at all"):
        path = _written(tmp_path, f"a.txt{suffix}", data)
        message = f"{re.escape(path)}, line 1 or later: the {kind} stream is broken .*Remedy"
        with pytest.raises(ValueError, match=message):
            list(read_documents(path))


def test_a_zstd_bomb_does_not_fill_the_memory(tmp_path):
    bomb = zstandard.ZstdCompressor().compress(b"\n" * (1 << 28))
    path = _written(tmp_path, "a.txt.zst", b"".join([bomb] * 4))
    tracemalloc.start()
    with pytest.raises(ValueError, match="holds no document"):
        list(read_documents(path))
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200 << 20


def test_wikiextractor_s_directories_are_read(tmp_path):
    for folder, names in (("AA", "01"), ("AB", "0")):
        for name in names:
            article = {"id": name, "url": "u", "title": "T", "text": f"{folder} {name}.\n\nNext."}
            empty = {"id": "9", "url": "u", "title": "Redirect", "text": ""}
            lines = f"{json.dumps(article)}\n{json.dumps(empty)}\n"
            _written(tmp_path, f"{folder}/wiki_0{name}", lines)
    _written(tmp_path, "AA/.hidden", "x")
    files = expand_files(str(tmp_path), directories=True)
    assert [file[len(str(tmp_path)) :] for file in files] == [
        "/AA/wiki_00",
        "/AA/wiki_01",
        "/AB/wiki_00",
    ]
    found = [d.paragraphs for file in files for d in read_documents(file)]
    assert found[::2] == [(f"{name}.", "", "Next.") for name in ("AA 0", "AA 1", "AB 0")]
    assert expand_files(f"{tmp_path}/*/wiki_*") == files
    with pytest.raises(ValueError, match="No file matches"):
        expand_files(str(tmp_path))


def test_a_file_without_a_suffix_may_be_text(tmp_path):
    path = _written(tmp_path, "novel", "{curly} but no JSON\n\nSecond.")
    assert [d.paragraphs for d in read_documents(path)] == [("{curly} but no JSON",), ("Second.",)]


def test_parquet_is_read_row_by_row(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    texts = [f"Text {i}.\n\nMore." for i in range(600)]
    path = str(tmp_path / "a.parquet")
    table = pyarrow.table({"title": texts, "body": texts})
    parquet.write_table(table, path, row_group_size=250)
    form = TextForm(text_field="body")
    found = [d for block in read_blocks(path, form=form) for d in documents_of(block, form)]
    assert [d.paragraphs for d in found] == [(f"Text {i}.", "", "More.") for i in range(600)]
    assert [d.line for d in found] == list(range(1, 601))
    with pytest.raises(ValueError, match=r"a.parquet: .*column 'text'. Received: title, body.*--t"):
        list(read_documents(path))
    parquet.write_table(pyarrow.table({"text": [1]}), path)
    with pytest.raises(ValueError, match="a.parquet: the column 'text' must hold strings.*int64"):
        list(read_documents(path))
    parquet.write_table(pyarrow.table({"text": ["a", None]}), path)
    with pytest.raises(ValueError, match="a.parquet, row 2: .*must hold text. Received: null"):
        list(read_documents(path))


def test_damaged_parquet_is_named(tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    from pyarrow import parquet

    path = _written(tmp_path, "a.parquet", b"PAR1 nothing")
    with pytest.raises(ValueError, match=r"a.parquet, row 1 or later: the parquet file is damaged"):
        list(read_documents(path))
    parquet.write_table(pyarrow.table({"text": [f"{i}" * 50 for i in range(500)]}), path)
    data = bytearray((tmp_path / "a.parquet").read_bytes())
    data[4:300] = bytes(296)
    _written(tmp_path, "a.parquet", bytes(data))
    with pytest.raises(ValueError, match="(?s)the parquet file is damaged .*Remedy"):
        list(read_documents(path))


def test_parquet_without_pyarrow_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pyarrow", None)
    path = _written(tmp_path, "a.parquet", b"PAR1")
    with pytest.raises(ValueError, match=r"needs pyarrow.*keras-bert-suite\[parquet\]"):
        list(read_documents(path))


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.jsonl", '{"text": "\\ud800x"}\n{"body": "a"}', "a.jsonl, line 2: .*--text_field"),
        ("a.jsonl", "[" * 100_000, "a.jsonl, line 1: .*nested too deeply"),
        ("a.jsonl", b"{}" * 300, "a.jsonl, line 1: a line may have"),
        ("a.txt", b"a\n" * 60 + b"b" * 300, "a.txt, line 61: a line may have"),
        ("a.txt", b"a\n" * 200 + b"\xff", r"a.txt, line 201: .*UTF-8.*0xff at column 1"),
    ],
    ids=["field", "deep", "long_json", "long_text", "long_document"],
)
def test_bad_lines_are_named(tmp_path, monkeypatch, name, content, message):
    if not isinstance(content, str):
        monkeypatch.setattr(blocks, "BLOCK_BYTES", 50)
        monkeypatch.setattr(blocks, "MAX_LINE_BYTES", 200)
    with pytest.raises(ValueError, match=message):
        list(read_documents(_written(tmp_path, name, content)))


def test_wrong_forms_are_named():
    with pytest.raises(
        ValueError, match="documents must be one of blank_line, file. Received: 'x'"
    ):
        TextForm(documents="x")
    with pytest.raises(ValueError, match="text_field must name a field. Received: ''"):
        TextForm(text_field="")
