"""bin/_python: a clone's programs find a Python that has what they import."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest

_SYSTEM = "/usr/bin:/bin"


@pytest.fixture
def clone(tmp_path, repository):
    """A checkout's programs, without .venv, and a python3 without any library."""
    shutil.copytree(repository / "bin", tmp_path / "bin")
    (tmp_path / "keras_bert_suite").symlink_to(repository / "keras_bert_suite")
    bare = tmp_path / "bare"
    bare.mkdir()
    _python(bare / "python3", "-I", "-S")
    return tmp_path


def _python(path, *options):
    """Puts a Python with these options there."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'#!/bin/sh\nexec "{sys.executable}" {" ".join(options)} "$@"\n')
    path.chmod(0o755)


def _run(program, path):
    environment = {**os.environ, "PATH": f"{path}:{_SYSTEM}"}
    environment.pop("PYTHONPATH", None)
    return subprocess.run([program], env=environment, capture_output=True, text=True, timeout=60)


def test_the_python_of_the_path_is_taken_where_it_has_tensorflow(clone):
    _python(clone / "complete" / "python3")
    result = _run(clone / "bin" / "make_vocabulary.py", clone / "complete")
    assert result.stderr.startswith("error: flag --input is required"), result.stderr


@pytest.mark.parametrize("link", [False, True])
def test_the_python_of_venv_is_taken_otherwise(clone, link):
    _python(clone / ".venv" / "bin" / "python")
    program = clone / "bin" / "make_vocabulary.py"
    if link:
        (clone / "elsewhere").symlink_to(program)
        program = clone / "elsewhere"
    result = _run(program, clone / "bare")
    assert result.stderr.startswith("error: flag --input is required"), result.stderr


def test_without_either_the_remedy_is_told(clone):
    result = _run(clone / "bin" / "make_vocabulary.py", clone / "bare")
    assert result.returncode == 1
    assert f"neither has {clone}/.venv. Remedy: bin/demo or bin/test" in result.stderr
