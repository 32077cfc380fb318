"""bin/make_vocabulary.py as a person runs it."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys

import pytest

from keras_bert_suite.text.vocabulary import read_vocabulary


@pytest.fixture
def make_vocabulary(repository):
    def run(*arguments):
        command = [sys.executable, repository / "bin" / "make_vocabulary.py", *arguments]
        return subprocess.run(command, capture_output=True, text=True, cwd=repository)

    return run


def test_text_json_lines_and_gzip_in_one_vocabulary(make_vocabulary, tmp_path):
    (tmp_path / "a.txt").write_text("River river.\n\nriver\n" * 20, encoding="utf-8")
    lines = [json.dumps({"text": "Ocean\nocean"})] * 20
    (tmp_path / "b.jsonl").write_text("\n".join(lines), encoding="utf-8")
    with gzip.open(tmp_path / "c.txt.gz", "wt", encoding="utf-8") as file:
        file.write("Délta delta\n" * 20)
    output = tmp_path / "out"
    result = make_vocabulary(f"--input={tmp_path}/*.*", f"--output_dir={output}", "--vocab_size=99")
    assert result.returncode == 0, result.stderr
    vocabulary = read_vocabulary(output / "vocab.txt")
    assert vocabulary[:5] == ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    assert {"river", "ocean", "delta", "."} <= set(vocabulary)
    # 21 of a.txt (blank lines part them), 20 of b.jsonl, 1 of c.txt.gz.
    assert result.stdout.startswith("Read 42 documents (0.0 MB) in ")
    assert f"Wrote {len(vocabulary)} entries to {output} (0.000% of the pieces" in result.stdout
    assert f"Next: bin/make_pretraining_data.py --input='{tmp_path}/*.*'" in result.stdout
    assert f"--tokenizer={output}" in result.stdout


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.txt", b"good\nb\xffd\n", "a.txt, line 2: the text must be UTF-8"),
        ("a.jsonl", b'{"text": "x"}\n{"body": "y"}\n', "a.jsonl, line 2: the object must have"),
        ("a.txt", b"", "a.txt: the file holds no document"),
        ("a.txt", b"abcdefghijkl", "vocab_size must hold the special tokens (5)"),
    ],
)
def test_bad_input_is_one_line_and_leaves_nothing(
    make_vocabulary, tmp_path, name, content, message
):
    (tmp_path / name).write_bytes(content)
    output = tmp_path / "out"
    result = make_vocabulary(
        f"--input={tmp_path / name}", f"--output_dir={output}", "--vocab_size=9"
    )
    assert result.returncode == 1
    assert message in result.stderr.splitlines()[-1]
    assert "Traceback" not in result.stderr
    assert not output.exists()


def test_no_file_matches(make_vocabulary, tmp_path):
    result = make_vocabulary(f"--input={tmp_path}/none*", f"--output_dir={tmp_path}/out")
    assert result.returncode == 1
    assert "No file matches the pattern" in result.stderr
