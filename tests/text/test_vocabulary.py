from __future__ import annotations

import re

import pytest

from keras_bert_suite.text.vocabulary import check_vocabulary, read_vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def test_an_id_is_a_line_number_whatever_unicode_calls_a_line_end(tmp_path):
    path = tmp_path / "vocab.txt"
    entries = [*SPECIAL, "a", "\u2028", "\x85", "\u3000", " b"]
    path.write_bytes("\n".join(entries).encode())
    assert read_vocabulary(path) == entries
    path.write_bytes("\n".join([*entries, ""]).encode())
    assert read_vocabulary(path) == entries


def test_windows_line_ends(tmp_path):
    path = tmp_path / "vocab.txt"
    path.write_bytes("\r\n".join([*SPECIAL, "é", ""]).encode())
    assert read_vocabulary(path) == [*SPECIAL, "é"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"vocab.txt is empty.*make_vocabulary"),
        (b"\n\n", r"vocab.txt is empty"),
        (b"[PAD]\n[UNK]\n\xff\n", r"must be UTF-8, and \S*vocab.txt, line 3 is not.*byte 1"),
        (b"[PAD]\n\n[UNK]", r"vocab.txt, line 2 is empty.*put the lost entry back"),
        (
            "\n".join([*SPECIAL, "a", "b", "a"]).encode(),
            r"vocab.txt has 'a' on lines 6 and 8. Rename one",
        ),
        (
            b"[PAD]\n[UNK]\n[CLS]\n[SEP]\n",
            r"vocab.txt has no \[MASK\]. .*make_vocabulary",
        ),
        (b"a\n[UNK]\n[SEP]", r"vocab.txt has no \[PAD\] \[CLS\] \[MASK\]"),
    ],
)
def test_damaged_files_are_named_with_line_and_remedy(tmp_path, content, message):
    path = tmp_path / "vocab.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        read_vocabulary(path)


def test_missing_file_and_directory(tmp_path):
    with pytest.raises(ValueError, match="no vocabulary file .*absent.txt. Make one with"):
        read_vocabulary(tmp_path / "absent.txt")
    with pytest.raises(ValueError, match=f"{re.escape(str(tmp_path))} is a directory"):
        read_vocabulary(tmp_path)


@pytest.mark.parametrize("token", ["", "a\nb", "a\r"])
def test_an_entry_must_survive_being_a_line(token):
    with pytest.raises(ValueError, match=re.escape(f"Got in here, line 6: {token!r}")):
        check_vocabulary([*SPECIAL, token], source="here")
