"""The bar over the bytes of input files."""

import io
import sys

import pytest

from keras_bert_suite.data.progress import byte_progress


class _Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("name", ["a.txt", "a.txt.gz", "a.txt.zst"])
def test_a_terminal_shows_a_bar_and_the_bytes_are_counted(tmp_path, monkeypatch, name):
    (tmp_path / name).write_bytes(b"x" * 400_000)
    monkeypatch.setattr(sys, "stderr", terminal := _Terminal())
    with byte_progress(str(tmp_path / name), "Reading") as progress:
        for _ in range(4):
            progress.advance(100_000)
    assert progress.total == 400_000
    # Decompressed bytes have no known total.
    assert "Reading" in terminal.getvalue()
    assert ("400.0/400.0 kB" in terminal.getvalue()) == (name == "a.txt")


def test_elsewhere_nothing_is_shown(tmp_path, capsys):
    (tmp_path / "a.txt").write_bytes(b"x")
    with byte_progress(str(tmp_path / "a.txt"), "Reading") as progress:
        progress.advance(1)
    assert progress.total == 1
    assert capsys.readouterr() == ("", "")


def test_no_file_is_an_error(tmp_path):
    with (
        pytest.raises(ValueError, match="No file matches"),
        byte_progress(f"{tmp_path}/*", "Reading"),
    ):
        pass
