"""bin/benchmark.py as a user runs it."""

import json
import os
from pathlib import Path

import pytest
from run_binary import error_line, run_binary

from keras_bert_suite.benchmark import suites

_README = Path(__file__).resolve().parents[2] / "README.md"


def test_an_unknown_suite_is_one_line(tmp_path):
    result = run_binary("benchmark", "--suites=matmul,fast", f"--output_dir={tmp_path}")
    assert result.returncode == 1
    assert error_line(result).startswith("error: Unknown suite 'fast'. Known: matmul, ")
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
@pytest.mark.parametrize("suite", suites.names())
def test_each_suite_runs(suite, tmp_path):
    # Sizes that say nothing about speed, but everything runs: peers elsewhere where they are told.
    told = {"torch": "KBS_INTEROP_PYTHON", "onnx": "KBS_ONNX_PYTHON"}
    peers = [f"--{k}_python={os.environ[v]}" for k, v in told.items() if v in os.environ]
    result = run_binary(
        "benchmark",
        f"--suites={suite}",
        f"--text={_README}",
        "--encoder=tiny",
        "--rounds=1",
        "--scale=0.13",
        f"--output_dir={tmp_path}",
        *peers,
        timeout=3600,
    )
    assert result.returncode == 0, result.stderr
    found = json.loads((tmp_path / "benchmark.json").read_text())
    (measured,) = found["suites"]
    assert measured["name"] == suite
    for case in measured["cases"]:
        for entrant in case["entrants"].values():
            assert len(entrant["seconds"]) == 1
            assert entrant["seconds"][0] > 0
            assert entrant["units"][0] > 0
        for line in case["lines"]:
            assert line["ratio"] > 0
            if line["difference"] is not None and "float32" in case["work"]:
                assert line["difference"] < 1e-4
    assert f"{suite}: " in result.stdout
    assert (tmp_path / "benchmark.md").read_text().startswith("# Benchmark")
    assert (tmp_path / "benchmark.png").stat().st_size > 1000
