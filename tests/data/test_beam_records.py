"""The Beam pipeline writes the local bytes; where Beam is missing it says so.

The pipelines run in KBS_BEAM_PYTHON, or in this interpreter where Beam is installed.
"""

import importlib.util
import json
import os
import random
import subprocess
import sys

import pytest
from token_corpora import VOCABULARY, WORDS

from keras_bert_suite.data.record_running import run_record_making

_PYTHON = os.environ.get(
    "KBS_BEAM_PYTHON", sys.executable if importlib.util.find_spec("apache_beam") else None
)
needs_beam = pytest.mark.skipif(_PYTHON is None, reason="Beam is not installed: KBS_BEAM_PYTHON")


@pytest.fixture
def workspace(tmp_path):
    """Text with duplicates, a long document and junk, in three forms."""
    (tmp_path / "tokenizer").mkdir()
    (tmp_path / "tokenizer" / "vocab.txt").write_text("\n".join(VOCABULARY) + "\n")
    rng = random.Random(0)
    (tmp_path / "text").mkdir()
    texts = [". ".join(rng.choices(WORDS, k=rng.randint(1, 30))) for _ in range(300)]
    (tmp_path / "text" / "a.txt").write_text("\n\n".join([*texts, *texts[:50], "# # #"]))
    long = "\n".join(" ".join(rng.choices(WORDS, k=20)) for _ in range(20_000))
    (tmp_path / "text" / "long.txt").write_text(long)
    lines = "\n".join(json.dumps({"text": text}) for text in texts[100:])
    (tmp_path / "text" / "b.jsonl").write_text(lines)
    return tmp_path


def _run(repository, workspace, name, *more, pattern="text/*"):
    command = [
        _PYTHON if "--runner=DirectRunner" in more else sys.executable,
        str(repository / "bin" / "make_pretraining_data.py"),
        f"--input={workspace}/{pattern}",
        f"--tokenizer={workspace}/tokenizer",
        f"--output_dir={workspace}/{name}",
        *("--num_shards=5", "--eval_fraction=0.2", "--deduplicate", "--drop_junk"),
        *more,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


def _files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir()}


@needs_beam
@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_the_direct_runner_writes_the_local_shards(repository, workspace, workers):
    local = _run(repository, workspace, "local", "--workers=1")
    assert local.returncode == 0, local.stderr
    beam = _run(repository, workspace, "beam", "--runner=DirectRunner", f"--workers={workers}")
    assert beam.returncode == 0, beam.stderr
    files = _files(workspace / "local")
    assert len(files) == 7 and _files(workspace / "beam") == files
    stats = json.loads(files["stats.json"])
    dropped = [stats[split]["dropped_documents"] for split in ("train", "eval")]
    assert sum(one["duplicate"] for one in dropped) >= 250 and "few_letters" in str(dropped)
    again = _run(repository, workspace, "beam", "--runner=DirectRunner")
    assert again.returncode == 1 and "holds the records of another run" in again.stderr
    again = _run(repository, workspace, "beam", "--runner=DirectRunner", "--overwrite")
    assert again.returncode == 0 and _files(workspace / "beam") == files


@needs_beam
@pytest.mark.slow
@pytest.mark.parametrize("data", [b"good\n\nbad \xff", b"\n"], ids=["utf8", "empty"])
def test_bad_input_is_named_and_leaves_nothing(repository, workspace, data):
    (workspace / "text" / "z.txt").write_bytes(data)
    done = _run(repository, workspace, "beam", "--runner=DirectRunner")
    assert done.returncode == 1
    (line,) = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    message = "z.txt: the file holds" if data == b"\n" else "z.txt, line 3: the text must be UTF-8"
    assert message in line and "Remedy" in line and "while running" not in line
    assert not (workspace / "beam").exists()


@needs_beam
@pytest.mark.slow
def test_an_option_that_the_direct_runner_lacks_is_an_error(repository, workspace):
    more = ("--runner=DirectRunner", "--", "--no_such_option=3")
    done = _run(repository, workspace, "beam", *more)
    assert done.returncode == 1
    assert "error: After -- stand options of Beam. Received: no_such_option" in done.stderr


def test_without_beam_it_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "apache_beam", None)
    monkeypatch.delitem(sys.modules, "keras_bert_suite.data.beam_records", raising=False)
    with pytest.raises(ValueError, match=r"--runner needs Apache Beam.*keras-bert-suite\[beam\]"):
        run_record_making("x", runner="DirectRunner")


def test_options_for_beam_need_a_runner(tmp_path):
    with pytest.raises(ValueError, match="Only options of a --runner may stand alone.*--region=x"):
        run_record_making("x", runner=None, pipeline_options=["--region=x"])
