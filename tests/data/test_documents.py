"""Documents: what separates them, what a sentence is, and what is wrong with a file."""

import gzip
import re

import pytest

from keras_bert_suite.data import documents
from keras_bert_suite.data.document_reading import read_documents
from keras_bert_suite.data.documents import expand_files, sentences_of


def _by_full_stop(text):
    return [part for part in text.replace(". ", ".|").split("|") if part]


def _read(tmp_path, name, content):
    path = tmp_path / name
    data = content if isinstance(content, bytes) else content.encode("utf-8")
    path.write_bytes(gzip.compress(data) if name.endswith(".gz") else data)
    return list(read_documents(str(path)))


def _sentences(document, mode="lines"):
    return sentences_of(document, mode=mode, split=_by_full_stop)


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.unknown"])
def test_blank_lines_separate_documents_of_text_files(tmp_path, name):
    # A byte order mark, Windows line ends, several blank lines, and none at the end of the file.
    text = "\ufeff One. Two. \r\nThree.\r\n \r\n\r\nVier über.\n\n\nFive."
    found = _read(tmp_path, name, text)
    assert [_sentences(d) for d in found] == [["One. Two.", "Three."], ["Vier über."], ["Five."]]
    assert [_sentences(d, "split") for d in found] == [
        ["One.", "Two.", "Three."],
        ["Vier über."],
        ["Five."],
    ]
    assert [d.line for d in found] == [1, 5, 8]
    assert all(d.first for d in found)


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.jsonl.gz"])
def test_blank_lines_separate_paragraphs_of_json_text(tmp_path, name):
    # The second line of the paragraph goes on with the sentence of the first: hard-wrapped text.
    text = '{"text": "One two\\nthree. Four.\\n\\n  Five.", "id": 7}\n\n{"text": ""}\n'
    first, second = _read(tmp_path, name, text)
    assert _sentences(first, "split") == ["One two three.", "Four.", "Five."]
    assert _sentences(first, "lines") == ["One two", "three. Four.", "Five."]
    assert (second.line, _sentences(second, "split")) == (3, [])


def test_half_a_surrogate_pair_is_left_to_the_tokenizer_to_leave_out(tmp_path):
    # "?" would be a token, and end a sentence.
    text = r'{"text": "It is \ud83d here. \ud83d\ude00"}'
    (document,) = _read(tmp_path, "a.jsonl", text)
    assert _sentences(document) == ["It is \ufffd here. \U0001f600"]


def test_equal_texts_have_equal_identities_in_any_file(tmp_path):
    (one,) = _read(tmp_path, "a.txt", "Same text.\n")
    other, same = _read(tmp_path, "b.txt", "Another.\n\nSame text.")
    (in_json,) = _read(tmp_path, "c.jsonl", '{"text": "Same text."}')
    assert one.document_id == same.document_id == in_json.document_id != other.document_id
    # BLAKE2b of b"Same text." (16 bytes), first 8 bytes little endian, shifted by one bit: it
    # decides the shard, so it must never change.
    assert one.document_id == 0x64A7C6D16A8A6AD3
    assert 0 <= one.held_out_draw < 1 and one.held_out_draw == same.held_out_draw


def test_a_long_document_comes_in_parts_of_one_identity(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "PART_CHARACTERS", 8)
    found = _read(tmp_path, "a.txt", "aaaa\nbbbb\ncccc\ndddd\neeee\n\nffff\n")
    assert [d.paragraphs for d in found] == [
        ("aaaa", "bbbb"),
        ("cccc", "dddd"),
        ("eeee",),
        ("ffff",),
    ]
    assert [d.first for d in found] == [True, False, False, True]
    assert len({d.document_id for d in found}) == 2
    assert found[0].document_id == found[2].document_id


def test_progress_counts_the_bytes_read(tmp_path):
    (tmp_path / "a.txt").write_bytes(b"abc\n\ndef")
    seen = []
    list(read_documents(str(tmp_path / "a.txt"), on_bytes=seen.append))
    assert sum(seen) == 8


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"", "a.txt: the file holds no document"),
        ("a.txt", b"\n \n", "a.txt: the file holds no document"),
        ("a.jsonl", b"\n", "a.jsonl: the file holds no document"),
        ("a.txt", b"good\nbad \xff\n", r"a.txt, line 2: .*UTF-8.*0xff at column 5"),
        ("a.jsonl", b'{"text": "a"}\n{"text": \n', r"a.jsonl, line 2: .*JSON object"),
        ("a.jsonl", b'{"body": "a"}', r"a.jsonl, line 1: .*string under \"text\".*body"),
        ("a.jsonl", b'{"text": 3}', r"string under \"text\".* there: 3. Remedy: leave"),
        ("a.jsonl", b'{"text": null}', r"a.jsonl, line 1: .* there: null. Remedy: leave such"),
        ("a.jsonl", b'["text"]', r"a.jsonl, line 1: .*string under \"text\".*list"),
    ],
)
def test_bad_files_are_named_with_their_line(tmp_path, name, content, message):
    with pytest.raises(ValueError, match=message):
        _read(tmp_path, name, content)


@pytest.mark.parametrize("cut", [5, 30])
def test_a_broken_gzip_stream_is_named(tmp_path, cut):
    path = tmp_path / "a.txt.gz"
    path.write_bytes(gzip.compress(bytes(range(32, 127)) * 20)[:cut])
    with pytest.raises(ValueError, match=r"a.txt.gz, line 1 or later: the gzip stream is broken"):
        list(read_documents(str(path)))
    path.write_bytes(b"no gzip")
    with pytest.raises(ValueError, match="the gzip stream is broken"):
        list(read_documents(str(path)))


def test_files_of_globs_are_sorted_and_unique(tmp_path):
    for name in ("b.txt", "a.txt", "c.md"):
        (tmp_path / name).touch()
    pattern = f"{tmp_path}/*.txt, {tmp_path}/[bc].*"
    assert [p.rsplit("/", 1)[1] for p in expand_files(pattern)] == ["a.txt", "b.txt", "c.md"]


def test_a_pattern_without_a_file_is_an_error(tmp_path):
    missing = f"{tmp_path}/no-*.txt"
    with pytest.raises(ValueError, match=f"No file matches.*{re.escape(missing)}"):
        expand_files(missing)


def test_an_unknown_sentence_mode_is_an_error(tmp_path):
    (document,) = _read(tmp_path, "a.txt", "One.")
    with pytest.raises(ValueError, match="sentences must be one of split, .*lines. Received: 'x'"):
        _sentences(document, "x")
