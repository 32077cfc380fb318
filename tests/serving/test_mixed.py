"""The signature `mixed`: rows for several tasks in one request, each answered as by its own."""

import json

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy
import tuned_models

from keras_bert_suite.serving import artifact_check, export_sources, mixed, saved_model
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.tuning.method import TuningMethod

# Name -> method, its options, task
_TASKS = {
    "topics": ("lora", {}, "classification"),
    "other": ("lora", {"lora_rank": 3, "lora_targets": ["key", "output"]}, "classification"),
    "kinds": ("houlsby", {"houlsby_size": 5}, "labeling"),
    "answers": ("prefix", {"prefix_length": 3}, "qa"),
}
_INPUTS = {name: ["text"] for name in _TASKS} | {"answers": ["question", "context"]}


@pytest.fixture(scope="module")
def directories(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    base = toy.write_model_directory(root / "base")
    for seed, (name, (method, options, task)) in enumerate(_TASKS.items()):
        tuned = TuningMethod.from_options(method, options)
        tuned_models.write(base, root / name, tuned, task=task, seed=seed)
    tuned_models.write(base, root / "prompt", TuningMethod.from_options("prompt", {}))
    return {name: root / name for name in (*_TASKS, "prompt", "base")}


@pytest.fixture(scope="module")
def exported(directories, tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(artifact_check, "check", lambda *args, **kwargs: 0.0)
        tuned = {name: directories[name] for name in _TASKS}
        result = saved_model.export_model(tuned, tmp_path_factory.mktemp("written"))
    assert result.not_mixed is None
    return result.path.rename(tmp_path_factory.mktemp("moved") / "1")


@pytest.fixture(scope="module")
def served(exported):
    return Servable(exported, name="x", version=1)


def _ask(served, signature, inputs):
    found = served.signatures[signature]
    columns = {
        key: np.array([x.encode() for x in column], object) for key, column in inputs.items()
    }
    return served.run(found, columns, list(found.outputs))


def _request(rows):
    """(task, text) -> the inputs of `mixed`, and of each task's own rows."""
    inputs = {key: [] for key in ("task", "text", "question", "context")}
    for task, text in rows:
        for key in inputs:
            inputs[key].append(task if key == "task" else text if key in _INPUTS[task] else "")
    own = {name: [text for task, text in rows if task == name] for name in _TASKS}
    return inputs, {name: {key: own[name] for key in _INPUTS[name]} for name in _TASKS}


def _check(served, rows):
    inputs, own_inputs = _request(rows)
    found = _ask(served, "mixed", inputs)
    for name in {task for task, _ in rows}:
        places = [i for i, (task, _) in enumerate(rows) if task == name]
        own = _ask(served, name, own_inputs[name])
        for key, values in found.items():
            values = values[places]
            if key in own:
                cut = tuple(slice(size) for size in own[key].shape)
                if values.dtype == object:
                    np.testing.assert_array_equal(values[cut], own[key])
                else:
                    np.testing.assert_allclose(values[cut], own[key], atol=1e-5)
                values = values[:, own[key].shape[1] :] if values.ndim > 1 else values[:0]
            assert not np.any(values != (b"" if values.dtype == object else 0)), (name, key)
    return found


@pytest.mark.slow
def test_rows_of_all_tasks_in_any_order(served):
    texts = [text for text, _ in toy.texts(7)] + ["", "cat " * 40]  # a long one is several rows
    rows = [(task, text) for task in _TASKS for text in texts]
    order = np.random.default_rng(0).permutation(len(rows))
    found = _check(served, [rows[i] for i in order])
    assert len({tuple(row) for row in found["scores"].round(3)}) > 12
    assert {"label", "scores", "words", "tags", "answer", "start"} <= set(found)
    assert {value.shape[0] for value in found.values()} == {len(rows)}


@pytest.mark.slow
def test_rows_of_some_tasks_of_one_and_of_none(served):
    _check(served, [("kinds", "the old cat"), ("other", "a saw"), ("kinds", "rice")])
    _check(served, [("answers", "one cat and a dog")])
    found = _ask(served, "mixed", _request([])[0])
    assert {value.shape[0] for value in found.values()} == {0}
    assert found["scores"].shape == (0, 3)


@pytest.mark.slow
def test_more_texts_than_tasks_are_refused(served):
    columns = {key: ["a"] for key in served.signatures["mixed"].inputs} | {"task": ["topics"]}
    with pytest.raises(tf.errors.InvalidArgumentError, match="must have the same number of rows"):
        _ask(served, "mixed", columns | {"text": ["a", "b"]})


def test_rows_do_not_influence_each_other(served):
    rows = [("topics", "the cat"), ("kinds", "the cat"), ("other", "the cat")]
    alone = [_ask(served, "mixed", _request([row])[0]) for row in rows]
    many = [*rows, ("kinds", "a very long text of bread " * 9), ("answers", "soup " * 60)]
    together = _ask(served, "mixed", _request(many)[0])
    for number, answer in enumerate(alone):
        np.testing.assert_allclose(together["scores"][number], answer["scores"][0], atol=1e-5)
        words = answer["tag_scores"].shape[1]
        np.testing.assert_allclose(
            together["tag_scores"][number, :words], answer["tag_scores"][0], atol=1e-5
        )


@pytest.mark.slow
def test_it_is_described_and_the_weights_are_stored_once(exported, directories):
    described = json.loads((exported / "serving.json").read_text())["signatures"]["mixed"]
    assert described["meaning"].startswith("each row is answered by the task that it names")
    assert set(described["inputs"]) == {"task", "text", "question", "context"}
    assert (
        described["inputs"]["task"]["meaning"] == "which of the tasks answers the row, by its name"
    )
    assert described["outputs"]["scores"]["shape"] == [None, 3]
    tuned_models.check_stored_once(
        exported,
        base_dir=directories["base"],
        tuned_dirs=[directories[name] for name in _TASKS],
    )


def _sources(directories, *names):
    told = {"task": None}
    tuned = {name: directories[name] for name in names}
    return export_sources.load_several(tuned, "float32", base_dir=None, told=told)


def test_of_two_methods_and_tasks_without_an_export(directories):
    mixture = mixed.Mixed(_sources(directories, "topics", "kinds"))
    texts = [text for text, _ in toy.texts(5)]
    rows = [(task, text) for text in texts for task in ("kinds", "topics")][1:]
    inputs = {"task": [task for task, _ in rows], "text": [text for _, text in rows]}
    inputs = {key: tf.constant(column) for key, column in inputs.items()}
    found, expected = mixture.signature.compute(inputs), mixture.expected(inputs)
    assert set(found) == set(expected) >= {"label", "scores", "words", "tags"}
    for key, values in expected.items():
        if values.dtype == tf.string:
            np.testing.assert_array_equal(found[key], values)
        else:
            np.testing.assert_allclose(found[key], values, atol=1e-5)
    assert len({tuple(row) for row in expected["scores"].numpy().round(3)}) == 5 + 1
    # In `expected` each task's own signature has answered, of its own rows.
    labels = expected["label"].numpy()
    assert [bool(label) for label in labels] == [task == "topics" for task, _ in rows]
    inputs["task"] = tf.constant(["kind", *[task for task, _ in rows[1:]]])
    with pytest.raises(
        tf.errors.InvalidArgumentError,
        match="(?s)task must be one of topics, kinds. Received:.*kind",
    ):
        mixture.signature.compute(inputs)


def test_where_it_cannot_be(directories):
    sources = _sources(directories, "topics", "prompt")
    found, reason = mixed.mixed_if_possible(sources, wanted=None)
    assert found is None and "prompt has its own" in reason
    assert mixed.mixed_if_possible(sources, wanted=False) == (None, None)
    with pytest.raises(ValueError, match="--mixed: .* all that differs. prompt has its own"):
        mixed.mixed_if_possible(sources, wanted=True)
    alone = {"": sources["topics"]}
    assert mixed.mixed_if_possible(alone, wanted=None) == (None, None)
    with pytest.raises(ValueError, match="--mixed: a model directory by itself .* --model_dirs"):
        mixed.mixed_if_possible(alone, wanted=True)


@pytest.mark.slow
def test_an_export_says_why_it_has_none(directories, tmp_path, monkeypatch):
    monkeypatch.setattr(artifact_check, "check", lambda *args, **kwargs: 0.0)
    tuned = {name: directories[name] for name in ("topics", "prompt")}
    result = saved_model.export_model(tuned, tmp_path)
    assert "prompt has its own" in result.not_mixed and "mixed" not in result.signatures


def test_answers_of_different_width_are_filled_up():
    answers = {
        "a": {"x": tf.constant([[1, 2], [3, 4]]), "name": tf.constant(["one", "two"])},
        "b": {"x": tf.constant([[5, 6, 7]])},
        "c": {"is": tf.constant([[True]])},
    }
    rows = {"a": [3, 0], "b": [1], "c": [2]}
    rows = {name: tf.constant(places, tf.int64) for name, places in rows.items()}
    joined = mixed._joined(answers, rows)
    np.testing.assert_array_equal(joined["x"], [[3, 4, 0], [5, 6, 7], [0, 0, 0], [1, 2, 0]])
    assert joined["name"].numpy().tolist() == [b"two", b"", b"", b"one"]
    assert joined["is"].numpy().tolist() == [[False], [False], [True], [False]]
    answers["c"] = {"x": tf.constant([1])}
    with pytest.raises(ValueError, match="Received for x: int32 of rank 2 in a, .* rank 1 in c"):
        mixed._joined(answers, rows)
