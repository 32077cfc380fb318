"""tensorflow/serving's own test of its model server passes against bin/serve.py.

KBS_TF_SERVING_DIR is a checkout of github.com/tensorflow/serving; `pip install tf_keras` adds the
two tests of Keras 2.
"""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import pytest
from tf_serving_script import SCRIPT

LEFT_OUT = {
    "testPredictOnTfLite": "TensorFlow Lite models are not served",
    "testPredictWithSignatureDefOnTfLite": "TensorFlow Lite models are not served",
    "test_profiler_service_with_valid_trace_request": "there is no profiler service",
}
OF_KERAS_2 = (
    "test_sequential_keras_saved_model_save",
    "test_distrat_sequential_keras_saved_model_save",
)
MODELS = "tensorflow_serving/servables/tensorflow/testdata"


@pytest.fixture
def checkout():
    path = os.environ.get("KBS_TF_SERVING_DIR")
    if not path:
        pytest.skip("set KBS_TF_SERVING_DIR to a checkout of github.com/tensorflow/serving")
    return Path(path).resolve()


def reasons_against(checkout) -> dict[str, str]:
    """The tests of the script that cannot run here, and why."""
    reasons = dict(LEFT_OUT)
    if not importlib.util.find_spec("tf_keras"):
        reasons.update(dict.fromkeys(OF_KERAS_2, "tf_keras is not installed"))
    if not (checkout / MODELS / "tf_text_regression/01/saved_model.pb").exists():
        reasons["test_tf_text"] = "the checkout lacks the model tf_text_regression"
    return reasons


@pytest.mark.slow
def test_the_script_of_tensorflow_serving_passes(checkout, tmp_path):
    names = re.findall(r"^  def (test\w+)", (checkout / SCRIPT).read_text(encoding="utf-8"), re.M)
    reasons = reasons_against(checkout)
    # In the order of a plain run: one test must come before TensorFlow makes its devices.
    wanted = sorted(set(names) - set(reasons))
    assert len(wanted) >= 20
    result = subprocess.run(
        [sys.executable, Path(__file__).parents[1] / "support" / "tf_serving_script.py"]
        + [f"--xml_output_file={tmp_path}/result.xml", f"--test_tmpdir={tmp_path}"]
        + [f"TensorflowModelServerTest.{name}" for name in wanted],
        capture_output=True,
        text=True,
        timeout=1200,
    )
    cases = ElementTree.parse(tmp_path / "result.xml").iter("testcase")
    failed = {
        case.get("name"): case.find("failure") is not None or case.find("error") is not None
        for case in cases
    }
    for name in sorted(names):
        outcome = reasons.get(name) or ("FAILED" if failed.get(name, True) else "passed")
        print(f"{name}: {outcome}")
    assert sorted(failed) == wanted, result.stderr[-2000:]
    assert not [name for name in wanted if failed[name]], result.stdout[-4000:]
