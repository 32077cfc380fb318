"""One SavedModel with several tasks on one encoder: each as alone, the base's weights once."""

import json
import subprocess
import sys

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import tuned_models

from keras_bert_suite.checkpoints.model_directory import load_model
from keras_bert_suite.serving import artifact_check, export_sources, saved_model
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.serving.signatures import TOKEN_INPUTS
from keras_bert_suite.tuning.method import TuningMethod

_TASKS = {"topics": ("lora", "classification"), "kinds": ("houlsby", "labeling")}
_LOGITS = {"topics": "label_logits", "kinds": "tag_logits"}
_TEXTS = [text for text, _ in toy.texts(5)]


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    """Name -> directory; "base" -> theirs."""
    root = tmp_path_factory.mktemp("models")
    base = toy.write_model_directory(root / "base")
    for seed, (name, (method, task)) in enumerate(_TASKS.items()):
        method = TuningMethod.from_options(method, {})
        tuned_models.write(base, root / name, method, task=task, seed=seed)
    return {name: root / name for name in ("base", *_TASKS)}


@pytest.fixture(scope="module")
def exported(directories, tmp_path_factory):
    """The result, moved after it was written; a test of the binary checks the artifact."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_check, "check", lambda *args, **kwargs: 0.0)
        tuned = {name: directories[name] for name in _TASKS}
        # test_mixed.py has the signature mixed
        written = saved_model.export_model(tuned, tmp_path_factory.mktemp("written"), mixed=False)
    return written.path.rename(tmp_path_factory.mktemp("moved") / "1")


@pytest.mark.slow
def test_each_answers_as_alone(exported, directories):
    servable = Servable(exported, name="x", version=1)
    assert set(servable.signatures) == {
        *("serving_default", "topics", "topics/tokens", "topics/classify"),
        *("kinds", "kinds/tokens"),
    }
    batch = toy.tokenizer()(_TEXTS)
    for name, key in _LOGITS.items():
        inputs = {port: np.asarray(batch[port]) for port in TOKEN_INPUTS}
        found = servable.run(servable.signatures[f"{name}/tokens"], inputs, [key])[key]
        expected = load_model(directories[name])(batch)[key]
        np.testing.assert_allclose(found, expected, atol=1e-5)
    texts = {"text": np.array([text.encode() for text in _TEXTS], object)}
    logits = load_model(directories["topics"])(batch)["label_logits"]
    for name in ("topics", "serving_default"):
        scores = servable.run(servable.signatures[name], texts, ["scores"])["scores"]
        np.testing.assert_allclose(scores, tf.nn.softmax(logits), atol=1e-5)


def test_the_base_is_stored_once(exported, directories):
    tuned_models.check_stored_once(
        exported,
        base_dir=directories["base"],
        tuned_dirs=[directories[name] for name in _TASKS],
    )
    description = json.loads((exported / "serving.json").read_text())
    assert {name: one["task"]["name"] for name, one in description["tasks"].items()} == {
        name: task for name, (_, task) in _TASKS.items()
    }
    assert description["tasks"]["topics"]["max_length"] == 16


@pytest.mark.slow
def test_the_binary_checks_all_signatures(directories, repository, tmp_path):
    named = ",".join(f"{name}={directories[name]}" for name in _TASKS)
    command = [sys.executable, "bin/export_model.py", f"--model_dirs={named}"]
    done = subprocess.run(
        [*command, f"--export_dir={tmp_path}"], cwd=repository, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert "with the signatures serving_default, topics, topics/tokens, topics/" in done.stdout
    assert ", mixed; its answers differ" in done.stdout


def test_what_cannot_stand_together(directories, tmp_path):
    def export(model_dirs, **options):
        saved_model.export_model(model_dirs, tmp_path / "out", **options)

    topics = directories["topics"]
    with pytest.raises(ValueError, match="base holds a whole model: export it by itself"):
        export({"base": directories["base"], "topics": topics})
    with pytest.raises(ValueError, match="the tuned part of a model, and .*base holds a whole"):
        export({"topics": topics, "base": directories["base"]})
    with pytest.raises(ValueError, match="--task, --top_k is for the export of one model directo"):
        export({"topics": topics}, task="fill_mask", options={"top_k": 3, "n_best": None})
    for name in ("serving_default", "a/b", ""):
        with pytest.raises(ValueError, match=f"must be of letters, .* Received: '{name}'"):
            export({name: topics})
    assert not (tmp_path / "out").exists()
    assert export_sources.named_directories(["x=/a=b/c", "/d=e/topics/"]) == {
        "x": "/a=b/c",
        "topics": "/d=e/topics/",
    }
    with pytest.raises(ValueError, match="a name of its own, as NAME=DIRECTORY. Received twice: a"):
        export_sources.named_directories(["a=x", "y/a"])
    with pytest.raises(ValueError, match="must be a directory to export. Received: none"):
        export_sources.named_directories([])
