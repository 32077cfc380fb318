"""TensorFlow's notes at its start stay off the screen, unless somebody wants or needs them."""

from __future__ import annotations

import os
import subprocess
import sys

_IMPORT = """
import os, sys
from keras_bert_suite import cli
import tensorflow as tf
tf.constant(1)
os.write(2, b"afterwards\\n")
print(tf.__version__ and tf.__spec__.name)
"""


def _run(code, cwd=None, **environment):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TF_CPP", "KBS_QUIET"))}
    return subprocess.run(
        [sys.executable, "-c", code],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=cwd,
        env=kept | environment,
    )


def test_a_binary_s_import_prints_nothing():
    result = _run(_IMPORT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "tensorflow\n", "afterwards\n")


def test_a_child_of_a_binary_is_quiet_too():
    code = "import subprocess, sys; from keras_bert_suite import cli; "
    result = _run(f"{code}subprocess.run([sys.executable, '-c', {_IMPORT!r}])")
    assert (result.returncode, result.stderr) == (0, "afterwards\n")


def _fake(tmp_path, ending):
    (tmp_path / "tensorflow.py").write_text(f'import os\nos.write(2, b"a note\\n")\n{ending}\n')


def test_who_sets_the_level_sees_the_notes(tmp_path):
    _fake(tmp_path, "")
    code = "from keras_bert_suite import cli; import tensorflow"
    assert _run(code, tmp_path, TF_CPP_MIN_LOG_LEVEL="0").stderr == "a note\n"


def test_an_import_that_fails_shows_what_was_held_back(tmp_path):
    _fake(tmp_path, "raise ImportError('no such symbol')")
    result = _run("from keras_bert_suite import cli; import tensorflow", tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("a note\n")
    assert "no such symbol" in result.stderr


def test_a_missing_tensorflow_is_an_ordinary_import_error():
    code = "import sys; sys.path[:] = [p for p in sys.path if 'site-packages' not in p]; "
    code += "from keras_bert_suite import quiet_tensorflow as q; q.install(); import tensorflow"
    result = _run("from keras_bert_suite import quiet_tensorflow as q; " + code)
    assert result.returncode == 1
    assert "No module named 'tensorflow'" in result.stderr
