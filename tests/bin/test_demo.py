"""bin/demo: its page, its checks, and the whole of it with few steps."""

from __future__ import annotations

import copy
import json
import subprocess
import sys

import pytest

_RESULTS = {
    "precision": "float32",
    "data": {
        "text": {split: {"documents": 1000, "characters": 500_000} for split in ("train", "dev")},
        "package": {"train": 996},
        "package_labels": ["keras", "python"],
    },
    "pretraining": {
        "steps": 900,
        "mlm_loss": 4.0,
        "unigram_entropy": 6.0,
        "mlm_accuracy": 0.25,
        "nsp_accuracy": 0.75,
    },
    "finetuning": {
        "accuracy": {"majority class": 0.5, "from scratch": 0.6, "pre-trained": 0.8},
        "test_rows": 654,
    },
    "serving": {
        "texts": ["Opens a file."],
        "labels": ["python"],
        "scores": [0.875],
        "difference": {"gRPC": 2e-7, "REST": 1e-7},
    },
    "seconds": {"pre-training": 300.0},
    "total_seconds": 600.0,
}


@pytest.fixture
def demo(repository, monkeypatch):
    """bin/_demo.py and its page as modules; they are a program's, not the package's."""
    monkeypatch.syspath_prepend(repository / "bin")
    import _demo

    return _demo


def test_the_page_says_what_came_out(demo):
    results = copy.deepcopy(_RESULTS)
    results["checks"] = demo.page.checks(results, learnt=True)
    assert all(results["checks"].values())
    text = demo.page.text(results)
    for expected in (
        "2,000 docstrings of the installed packages, 1.0 million characters",
        "loss 4.00 nats (unigram entropy of the same words 6.00), 25.0% right",
        "next sentences: 75.0% right",
        "pre-trained      80.0% of 654 test rows right",
        "python 0.875 <- Opens a file.",
        "gRPC 2.0e-07, REST 1.0e-07",
        "[ok] pre-trained beats from scratch",
        "10.0 minutes",
    ):
        assert expected in text


@pytest.mark.parametrize(
    ("path", "value", "failed"),
    [
        (("serving", "difference", "gRPC"), 2e-5, "answers over gRPC equal those in process"),
        (
            ("pretraining", "mlm_loss"),
            5.6,
            "the MLM loss is half a nat or more below the unigram entropy",
        ),
        (("pretraining", "nsp_accuracy"), 0.5, "next sentences are told from random ones"),
        (("finetuning", "accuracy", "pre-trained"), 0.6, "pre-trained beats from scratch"),
        (("finetuning", "accuracy", "from scratch"), 0.5, "pre-trained beats from scratch"),
    ],
)
def test_what_did_not_come_out_is_seen(demo, path, value, failed):
    results = copy.deepcopy(_RESULTS)
    place = results
    for key in path[:-1]:
        place = place[key]
    place[path[-1]] = value
    checks = demo.page.checks(results, learnt=True)
    (name,) = [name for name, good in checks.items() if not good]
    assert name.startswith(failed)
    results["checks"] = checks
    assert f"[NOT] {failed}" in demo.page.text(results)


def test_another_label_is_an_infinite_difference(demo):
    expected = [{"label": "a", "scores": {"b": 0.25, "a": 0.75}}]
    same = '{"label": "a", "scores": [0.75, 0.125]}'
    other = '{"label": "b", "scores": [0.75, 0.25]}'
    assert demo._largest_difference(same, expected, ["a", "b"]) == 0.125
    assert demo._largest_difference(other, expected, ["a", "b"]) == float("inf")


def test_what_is_not_a_demo_s_is_not_deleted(demo, tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(ValueError, match="holds something that is not a demo's"):
        demo._fresh(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_an_earlier_demo_is_replaced(demo, tmp_path):
    first = demo._fresh(tmp_path / "out")
    (first / "page.txt").write_text("old")
    assert not (demo._fresh(first) / "page.txt").exists()


def test_a_step_that_fails_stops_the_demo(demo, capfd):
    with pytest.raises(ValueError, match="the step 'vocabulary' failed with exit status 1"):
        demo.Steps().run("vocabulary", "make_vocabulary", input="/no/such/file", output_dir="x y")
    out, err = capfd.readouterr()
    assert "$ bin/make_vocabulary.py --input=/no/such/file --output_dir='x y'" in out
    assert "error: No file matches the pattern" in err


@pytest.mark.slow
def test_the_whole_demo_with_few_steps(repository, tmp_path):
    result = subprocess.run(
        [
            sys.executable,
            repository / "bin" / "_demo.py",
            "--pretraining_steps=5",
            f"--output_dir={tmp_path / 'out'}",
        ],
        capture_output=True,
        text=True,
        timeout=1800,
    )
    assert result.returncode == 0, result.stdout[-4000:] + result.stderr[-4000:]
    page = (tmp_path / "out" / "page.txt").read_text()
    assert page in result.stdout
    results = json.loads((tmp_path / "out" / "page.json").read_text())
    assert max(results["serving"]["difference"].values()) <= 1e-5
    assert results["finetuning"]["accuracy"]["from scratch"] > 0.2  # chance: 1 in 6
