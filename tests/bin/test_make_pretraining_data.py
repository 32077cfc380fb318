"""bin/make_pretraining_data.py as a user runs it."""

import functools
import os
import signal
import subprocess
import sys
import time

import pytest
from token_corpora import VOCABULARY, WORDS

from keras_bert_suite.data.record_making import make_records
from keras_bert_suite.text.tokenizer import Tokenizer


@pytest.fixture
def workspace(tmp_path):
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    text = "\n\n".join(f"{a} {b}.\n{b} {a}." for a in WORDS for b in WORDS)
    (tmp_path / "text.txt").write_text(text)
    return tmp_path


def _command(repository, workspace, *more):
    return [
        sys.executable,
        str(repository / "bin" / "make_pretraining_data.py"),
        f"--input={workspace}/text.txt",
        f"--tokenizer={workspace}/tokenizer",
        f"--output_dir={workspace}/records",
        *more,
    ]


def _run(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_it_says_what_it_wrote_and_what_comes_next(repository, workspace):
    done = _run(_command(repository, workspace, "--num_shards=2", "--eval_fraction=0.1"))
    assert done.returncode == 0, done.stderr
    records = workspace / "records"
    assert sorted(path.name for path in records.iterdir()) == [
        "eval-00000-of-00001.tfrecord",
        "stats.json",
        "train-00000-of-00002.tfrecord",
        "train-00001-of-00002.tfrecord",
    ]
    assert f"stats.json to {records}" in done.stdout
    assert f"--train_data='{records}/train-*.tfrecord'" in done.stdout
    assert f"--eval_data='{records}/eval-*.tfrecord'" in done.stdout
    # 1,600 documents of two sentences.
    assert "in 2 train shards" in done.stdout and "in 1 eval shard " in done.stdout
    again = _run(_command(repository, workspace))
    assert again.returncode == 1
    (line,) = [line for line in again.stderr.splitlines() if line.startswith("error: ")]
    assert "holds the records of another run" in line and "--overwrite" in line


def test_help_is_quick_and_names_the_flags(repository):
    done = _run([sys.executable, str(repository / "bin/make_pretraining_data.py"), "--help"])
    assert done.returncode == 0 and "tensorflow" not in done.stderr.lower()
    for flag in ("--input", "--tokenizer", "--output_dir", "--num_shards", "--workers"):
        assert flag in done.stdout


def _children(pid):
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(child) for child in file.read().split()]


def _files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@pytest.mark.skipif(not os.path.isdir("/proc"), reason="counts processes in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT])
def test_killed_in_the_middle_it_leaves_no_workers_and_goes_on(repository, workspace, number):
    # 6 MB, six tasks: longer than the test's polling, so that it is surely under way.
    text = "\n\n".join(f"{WORDS[i % 40]} {i}" + " waa wab." * 110 for i in range(6000))
    (workspace / "text.txt").write_text(text)
    command = _command(repository, workspace, "--workers=2", "--sentences=lines")
    process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    records = workspace / "records"
    deadline = time.monotonic() + 100
    while not list(records.glob("in_progress/task-*")):
        assert process.poll() is None and time.monotonic() < deadline, process.communicate()[1]
        time.sleep(0.01)
    workers = _children(process.pid)
    assert workers
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == (-number if number == signal.SIGKILL else 130), errors
    while any(os.path.exists(f"/proc/{worker}") for worker in workers):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    assert [path.name for path in workspace.iterdir() if path.name.startswith(".")] == []
    done = [path.name for path in records.glob("in_progress/task-*")]
    assert done and not (records / "stats.json").exists()
    if number == signal.SIGINT:
        return
    common = {
        "pattern": f"{workspace}/text.txt",
        "make_tokenizer": functools.partial(Tokenizer.from_directory, workspace / "tokenizer"),
        "sentences": "lines",
    }
    make_records(output_dir=records, **common)
    make_records(output_dir=workspace / "fresh", **common)
    assert len(_files(records)) == 9 and _files(records) == _files(workspace / "fresh")
