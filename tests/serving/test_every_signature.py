"""Every signature of every task, by TensorFlow's C API from a moved directory, against Keras."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest
import toy_models

from keras_bert_suite.serving import artifact_check, saved_model

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module", params=toy_models.NAMES)
def exported(request, tmp_path_factory):
    """(version directory, requests, the Keras model's answers), moved and without its model."""
    name, folder = request.param, tmp_path_factory.mktemp("every")
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        # Export compares these itself, in a process with Python; here they are kept.
        patch.setattr(artifact_check, "check", lambda path, **kept: seen.update(kept) or 0.0)
        model_dir = toy_models.write_model(name, folder)
        result, again = (
            saved_model.export_model(model_dir, folder / "base", **toy_models.export_options(name))
            for _ in range(2)
        )
    for file in again.path.rglob("*"):
        if file.is_file():
            same = result.path / file.relative_to(again.path)
            assert file.read_bytes() == same.read_bytes(), file
    moved = shutil.move(result.path, folder / "moved")
    shutil.rmtree(folder / "model")
    shutil.rmtree(folder / "base")
    return moved, seen["requests"], seen["expected"]


def as_json(signature, inputs):
    return {
        "signature": signature,
        "inputs": {
            alias: {
                "dtype": "string" if array.dtype == object else array.dtype.name,
                "shape": list(array.shape),
                "data": [
                    item.decode("utf-8", "surrogateescape") if isinstance(item, bytes) else item
                    for item in array.ravel().tolist()
                ],
            }
            for alias, array in inputs.items()
        },
    }


def check(answers, requests, expected):
    for (signature, _), wanted, answer in zip(requests, expected, answers, strict=True):
        assert "error" not in answer, (signature, answer)
        assert set(answer["outputs"]) == set(wanted)
        for alias, array in wanted.items():
            got = answer["outputs"][alias]
            assert got["shape"] == list(array.shape), (signature, alias)
            if array.dtype == object:
                texts = [item.decode(errors="replace") for item in array.ravel()]
                assert got["data"] == texts, (signature, alias)
            else:
                np.testing.assert_allclose(
                    np.array(got["data"]).reshape(array.shape),
                    array,
                    atol=1e-5,
                    rtol=1e-5,
                    err_msg=f"{signature}, {alias}",
                )
    assert {signature for signature, _ in requests} >= {"serving_default", "tokens"}


def test_by_the_loader_of_tf_serving(exported, runner):
    path, requests, expected = exported
    answers = runner(path, [as_json(*request) for request in requests])
    check(answers, requests, expected)


@pytest.mark.interop
def test_by_an_older_release(exported, runner):
    """tensorflow 2.20 with tensorflow-text 2.20.1: what TF Serving 2.20 is built of."""
    python = os.environ.get("KBS_OLD_TF_PYTHON")
    if not python:
        pytest.skip("set KBS_OLD_TF_PYTHON to a Python with tensorflow 2.20, tensorflow-text 2.20")
    path, requests, expected = exported
    answers = runner(path, [as_json(*request) for request in requests], python=python)
    check(answers, requests, expected)
