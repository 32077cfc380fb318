"""bin/export_model.py: what it says; serving/test_saved_model.py holds what it writes."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.fixture
def export(repository):
    def call(*flags):
        return subprocess.run(
            [sys.executable, "bin/export_model.py", *flags],
            cwd=repository,
            capture_output=True,
            text=True,
            timeout=120,
        )

    return call


def test_it_says_what_was_written_and_what_comes_next(export, tmp_path):
    path = Path(__file__).parents[1] / "serving" / "tiny_models.py"
    spec = importlib.util.spec_from_file_location("tiny_models", path)
    tiny_models = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tiny_models)
    model_dir = tiny_models.write_classifier(tmp_path / "model")
    flags = (f"--model_dir={model_dir}", f"--export_dir={tmp_path / 'base'}")
    result = export(*flags, "--version=3")
    assert result.returncode == 0, result.stderr
    line = result.stdout.strip()
    assert line.startswith(f"Wrote {tmp_path / 'base' / '3'} with the signatures serving_default")
    assert line.endswith(f"bin/serve.py --model_base_path={tmp_path / 'base'}")
    again = export(*flags, "--version=3")
    assert again.returncode == 1
    assert "3 exists already" in again.stderr.strip().splitlines()[-1]

    checked = export(f"--check={tmp_path / 'base'}")
    assert checked.returncode == 0, checked.stderr
    assert "  NormalizeUTF8 " in checked.stdout
    lines = checked.stdout.strip().splitlines()
    assert lines[-2:] == [
        "TF Serving 2.19.1, which bundles tf.text 2.12.1, can load it",
        "TF Serving 2.20.0, which bundles tf.text 2.20.0, can load it",
    ]


def test_flags_that_do_not_go_together(export, tmp_path):
    for flags, message in (
        ([], "Give --model_dir or --model_dirs with --export_dir, or"),
        (["--model_dir=a"], "Give --model_dir or --model_dirs with --export_dir, or"),
        (["--check=a", "--export_dir=b"], "--check stands alone: it writes nothing."),
        ([f"--check={tmp_path}"], f"{tmp_path} must be a SavedModel"),
        (
            ["--model_dir=a", "--export_dir=b", "--format=litert", "--version=2", "--nomixed"],
            "writes one model in float32, without versions. Leave out: --mixed, --version",
        ),
    ):
        result = export(*flags)
        assert result.returncode == 1
        assert message in result.stderr.strip().splitlines()[-1]


def test_a_missing_model_directory(export, tmp_path):
    result = export(f"--model_dir={tmp_path / 'no'}", f"--export_dir={tmp_path / 'base'}")
    assert result.returncode == 1
    assert f"{tmp_path / 'no'}: no such directory" in result.stderr.strip().splitlines()[-1]
    assert not (tmp_path / "base").exists()
