"""Killed anywhere, a run goes on to the same bytes and leaves no litter."""

import functools
import json
import os
import random
from pathlib import Path

import pytest
from token_corpora import VOCABULARY, WORDS

from keras_bert_suite.data import blocks, record_making, record_workers
from keras_bert_suite.data.record_job import RecordJob, read_footer, write_task
from keras_bert_suite.data.record_making import make_records
from keras_bert_suite.text.tokenizer import Tokenizer


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch):
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 500)
    monkeypatch.setattr(record_making, "BLOCK_BYTES", 500)


@pytest.fixture(scope="module")
def make_tokenizer(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    Tokenizer(VOCABULARY).save(directory)
    return functools.partial(Tokenizer.from_directory, directory)


@pytest.fixture
def make(make_tokenizer, tmp_path):
    """make(name, **options) writes the records of one text to a directory of that name."""
    rng = random.Random(0)
    text = "\n\n".join(" ".join(rng.choices(WORDS, k=rng.randint(1, 9))) for _ in range(200))
    (tmp_path / "text.txt").write_text(text)
    common = {"make_tokenizer": make_tokenizer, "num_shards": 3, "sentences": "lines"}

    def make(name, pattern="text.txt", **options):
        pattern = str(tmp_path / pattern)
        return make_records(pattern, output_dir=tmp_path / name, **{**common, **options})

    return make


def _files(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


class _KilledError(BaseException):
    """Ends a run as a kill does: no handler of errors runs."""


def _killed_at(monkeypatch, function_name, count):
    """Kills the run at the call number `count` of a function of the workers; counts all calls."""
    calls = []
    original = getattr(record_workers, function_name)

    def killing(*arguments, **options):
        calls.append(arguments)
        if len(calls) == count:
            raise _KilledError
        return original(*arguments, **options)

    monkeypatch.setattr(record_workers, function_name, killing)
    return calls


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    ("function_name", "count"), [("write_task", 1), ("write_task", 4), ("write_merged", 2)]
)
def test_a_killed_run_goes_on_where_it_was(
    make, tmp_path, monkeypatch, function_name, count, overwrite
):
    make("whole")
    if overwrite:
        make("killed", num_shards=2)
        older = _files(tmp_path / "killed")
    with monkeypatch.context() as patch:
        _killed_at(patch, function_name, count)
        with pytest.raises(_KilledError):
            make("killed", overwrite=overwrite)
    left = {path.name for path in (tmp_path / "killed").iterdir()}
    if overwrite:
        # What was there stands until all is made.
        assert left == {"in_progress", *older}
    else:
        finished = count - 1 if function_name == "write_merged" else 0
        assert len(left) == 1 + finished and "in_progress" in left
    (tmp_path / "killed" / "in_progress" / ".task-x.abc.tmp").touch()
    calls = _killed_at(monkeypatch, function_name, 10_000)
    make("killed", overwrite=overwrite)
    total = {"write_task": len(calls) + count - 1, "write_merged": len(calls) + count - 1}
    assert _files(tmp_path / "killed") == _files(tmp_path / "whole")
    assert total["write_merged"] == 3 if function_name == "write_merged" else len(calls) > 1
    assert sorted(p.name for p in tmp_path.iterdir()) == ["killed", "text.txt", "whole"]


def test_finished_shards_of_a_killed_run_are_whole(make, tmp_path, monkeypatch):
    make("whole")
    _killed_at(monkeypatch, "write_merged", 3)
    with pytest.raises(_KilledError):
        make("killed")
    for path in (tmp_path / "killed").glob("*.tfrecord"):
        assert path.read_bytes() == (tmp_path / "whole" / path.name).read_bytes()


def test_another_run_does_not_go_on_with_it(make, tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        _killed_at(patch, "write_merged", 2)
        with pytest.raises(_KilledError):
            make("out")
    left = sorted(str(path) for path in (tmp_path / "out").rglob("*"))
    with pytest.raises(ValueError, match="unfinished run with other num_shards.*num_shards=5.*=3"):
        make("out", num_shards=5)
    (tmp_path / "text.txt").write_text("waa wab.")
    with pytest.raises(ValueError, match="unfinished run with other input_files.*--overwrite"):
        make("out")
    assert sorted(str(path) for path in (tmp_path / "out").rglob("*")) == left
    make("out", num_shards=1, overwrite=True)
    assert sorted(_files(tmp_path / "out")) == ["stats.json", "train-00000-of-00001.tfrecord"]


def test_bad_input_leaves_nothing(make, tmp_path):
    (tmp_path / "bad.txt").write_bytes(b"waa\n\n" * 500 + b"\xff")
    with pytest.raises(ValueError, match="bad.txt, line 1001: .*UTF-8"):
        make("out", pattern="*.txt", workers=1)
    assert not (tmp_path / "out").exists()


def test_two_runs_do_not_work_in_one_directory(tmp_path):
    first = RecordJob(tmp_path / "out", {"a": 1}, overwrite=False)
    with pytest.raises(ValueError, match="Another process makes records in .*out.*wait"):
        RecordJob(tmp_path / "out", {"a": 1}, overwrite=True)
    first.close()
    second = RecordJob(tmp_path / "out", {"a": 1}, overwrite=False)
    assert second.resumed and not first.resumed
    second.remove()
    assert not (tmp_path / "out").exists()


def test_what_a_job_leaves_is_cleared_when_its_file_is_gone(make, tmp_path):
    job = tmp_path / "out" / "in_progress"
    job.mkdir(parents=True)
    write_task(job / "task-00000000.run", {})
    make("out")
    make("whole")
    assert _files(tmp_path / "out") == _files(tmp_path / "whole")


def test_a_damaged_task_is_named(tmp_path):
    write_task(tmp_path / "task", {})
    assert read_footer(tmp_path / "task") == {"places": {}, "records": {}}
    (tmp_path / "task").write_bytes(bytes(100))
    with pytest.raises(ValueError, match="task is damaged. Remedy: .*--overwrite"):
        read_footer(tmp_path / "task")


def test_progress_counts_what_is_read_again(make, tmp_path):
    seen = []
    stats = make("out", on_bytes=seen.append)
    assert sum(seen) == os.path.getsize(tmp_path / "text.txt")
    assert json.loads((tmp_path / "out" / "stats.json").read_text()) == stats
