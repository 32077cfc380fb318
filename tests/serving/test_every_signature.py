"""Every signature of every task, by TensorFlow's C API from a moved directory, against Keras."""

from __future__ import annotations

import json
import os
import shutil

import keras
import numpy as np
import pytest
import toy_classification as toy
import toy_labeling
import toy_questions
import toy_spans

import keras_bert_suite as kbs
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.serving import artifact_check, saved_model
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task

pytestmark = pytest.mark.slow

LENGTH = 24
# What a training file decides; the other tasks are served from any model with a masked-LM head.
FITTED = "classification labeling multilabel multiple_choice qa regression span".split()
OPTIONS = {
    "cloze": {"pattern": "{text} and the [MASK]", "verbalizer": ["animal=cat", "food=bread|cake"]}
}
NAMES = [*Task.alternatives(), "no task"]


def training_file(name, folder):
    if name == "labeling":
        return toy_labeling.write_columns(folder / "train.conll", toy_labeling.sentences(12))
    if name == "qa":
        return toy_questions.write_squad(folder / "train.json", toy_questions.questions(12))
    if name == "span":
        return toy_spans.write_lines(folder / "train.jsonl", toy_spans.texts(12))
    rows = []
    for index, (text, label) in enumerate(toy.texts(12)):
        row = {
            "regression": {"label": float(index % 3)},
            "multilabel": {"labels": [label, "living"]},
            "multiple_choice": {"choices": ["cat", "rice", "saw"], "label": index % 3},
            "classification": {"label": label},
        }[name]
        rows.append(json.dumps({"text": text, **row}))
    (folder / "train.jsonl").write_text("\n".join(rows))
    return folder / "train.jsonl"


def write_model(name, folder):
    """A model directory with random weights, large enough for the answers to differ."""
    keras.utils.set_random_seed(5)
    config = toy.encoder_config()
    extra = {"sequence_length": LENGTH}
    if name in FITTED:
        path = training_file(name, folder)
        task, _ = Task.named(name)().fit(path, bad_rows=BadRows())
        heads, extra["task"] = [task.head(config)], task.to_config()
    else:
        heads = [MaskedLMHead.for_encoder(config)]
    model = kbs.BertModel(kbs.Encoder(config), heads)
    kbs.save_model(model, folder / "model", tokenizer=toy.tokenizer(), extra=extra)
    return folder / "model"


@pytest.fixture(scope="module", params=NAMES)
def exported(request, tmp_path_factory):
    """(version directory, requests, the Keras model's answers), moved and without its model."""
    name, folder = request.param, tmp_path_factory.mktemp("every")
    seen = {}
    with pytest.MonkeyPatch.context() as patch:
        # Export compares these itself, in a process with Python; here they are kept.
        patch.setattr(artifact_check, "check", lambda path, **kept: seen.update(kept) or 0.0)
        model_dir = write_model(name, folder)
        task = None if name in (*FITTED, "no task") else name
        result, again = (
            saved_model.export_model(
                model_dir, folder / "base", task=task, options=OPTIONS.get(name)
            )
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
