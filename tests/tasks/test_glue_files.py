"""GLUE's own files as they are, class weights, and what evaluation leaves to be read."""

import json
import re
import types

import numpy as np
import pytest
import toy_classification as toy

from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.labeling import Labeling
from keras_bert_suite.tasks.multilabel import MultiLabel
from keras_bert_suite.tasks.regression import Regression
from keras_bert_suite.training.evaluation_files import write_evaluation
from keras_bert_suite.training.prediction import Evaluation


def fit(path, text, **options):
    path.write_text(text, encoding="utf-8")
    return Classification(**options).fit(path, bad_rows=BadRows())


_GLUE = {
    "SST-2": ('sentence\tlabel\nit \'s "fun"\t1\nno\t0\n', [(('it \'s "fun"',), "1")]),
    "CoLA": (
        "gj04\t1\t\tThey drank .\nbc01\t0\t*\tIs going .\n",
        [(("They drank .",), "1"), (("Is going .",), "0")],
    ),
    "MRPC": (
        "\ufeffQuality\t#1 ID\t#2 ID\t#1 String\t#2 String\n1\t7\t8\ta\tb\n0\t9\t1\tc\td\n",
        [(("a", "b"), "1")],
    ),
    "RTE": (
        "index\tsentence1\tsentence2\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnot_entailment\n",
        [(("a", "b"), "entailment")],
    ),
    "QNLI": (
        "index\tquestion\tsentence\tlabel\n0\ta\tb\tentailment\n1\tc\td\tnot_entailment\n",
        [(("a", "b"), "entailment")],
    ),
    "QQP": (
        "id\tqid1\tqid2\tquestion1\tquestion2\tis_duplicate\n0\t1\t2\ta\tb\t0\n1\t3\t4\tc\td\t1\n",
        [(("a", "b"), "0")],
    ),
    "MNLI": (
        "index\tgenre\tsentence1\tsentence2\tlabel1\tlabel2\tgold_label\n"
        "0\tx\ta\tb\tneutral\tneutral\tneutral\n1\tx\tc\td\tneutral\tentailment\tentailment\n",
        [(("a", "b"), "neutral"), (("c", "d"), "entailment")],
    ),
}


@pytest.mark.parametrize("name", _GLUE)
def test_glue_s_files_need_no_flags(name, tmp_path):
    text, expected = _GLUE[name]
    task, examples = fit(tmp_path / "train.tsv", text)
    assert [(e.texts, e.label) for e in examples][: len(expected)] == expected
    assert len(task.labels) == 2
    assert task.read(tmp_path / "train.tsv", bad_rows=BadRows()) == examples


def test_balanced_weights_make_the_labels_equal(tmp_path):
    text = "text\tlabel\na\tx\nb\tx\nc\tx\nd\ty\n"
    task, examples = fit(tmp_path / "a.tsv", text, class_weights=("balanced",))
    assert task.class_weights == ("0.666667", "2")
    weights = task.features(examples, toy.tokenizer(), max_length=5).rows["example_weights"]
    np.testing.assert_allclose(weights, [2 / 3, 2 / 3, 2 / 3, 2], rtol=1e-5)
    told, examples = fit(tmp_path / "a.tsv", text, class_weights=("1", "0.5"))
    rows = told.features(examples, toy.tokenizer(), max_length=5).rows
    assert rows["example_weights"].tolist() == [1, 1, 1, 0.5]


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        (("1", "x"), "--class_weights must be balanced, or numbers that are not negative."),
        (("1", "-1"), "--class_weights must be balanced, or numbers that are not negative."),
        (("1", "1", "1"), "--class_weights needs a number for each of the 2 labels (x, y)."),
    ],
)
def test_weights_that_cannot_be(tmp_path, weights, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        fit(tmp_path / "a.tsv", "text\tlabel\na\tx\nb\ty\n", class_weights=weights)


def written(task, predictions, tmp_path):
    """The names in the evaluation's directory and the lines of errors.jsonl."""
    write_evaluation(Evaluation({"a": 1.0}, predictions, []), tmp_path, task=task)
    lines = (tmp_path / "errors.jsonl").read_text().splitlines()
    return {path.name for path in tmp_path.iterdir()}, [json.loads(line) for line in lines]


def test_errors_of_a_classifier_the_surest_first(tmp_path):
    task = Classification(text_column="text", labels=("x", "y"))
    predictions = [
        {"text": "a", "gold": "x", "label": "y", "score": 0.6},
        {"text": "b", "gold": "y", "label": "y", "score": 0.9},
        {"text": "c", "gold": "y", "label": "x", "score": 0.8},
    ]
    names, errors = written(task, predictions, tmp_path)
    assert {"confusion.svg", "errors.jsonl", "metrics.json", "predictions.jsonl"} == names
    assert [error["text"] for error in errors] == ["c", "a"]
    assert "gold x, predicted y: 1" in (tmp_path / "confusion.svg").read_text()


def test_errors_of_labeling_are_words_with_their_neighbours(tmp_path):
    task = Labeling(labels=("O", "B-x", "I-x"), tag_scheme="BIO")
    predictions = [
        {"words": ["a", "b"], "gold": ["O", "B-x"], "tags": ["O", "O"], "scores": [0.9, 0.7]},
        {"words": ["c"], "gold": ["O"], "tags": ["B-x"], "scores": [0.8]},
    ]
    _, errors = written(task, predictions, tmp_path)
    assert errors[0] == {
        "example": 2, "word": "c", "gold": "O", "tag": "B-x", "score": 0.8, "near": "c",
    }  # fmt: skip
    assert (errors[1]["word"], errors[1]["near"]) == ("b", "a b")


def test_errors_of_numbers_and_sets(tmp_path):
    _, errors = written(
        Regression(text_column="text"),
        [{"text": "a", "gold": 1.0, "value": 1.5}, {"text": "b", "gold": 3.0, "value": 1.0}],
        tmp_path / "numbers",
    )
    assert [(e["text"], e["error"]) for e in errors] == [("b", 2.0), ("a", 0.5)]
    scores = {"x": 0.9, "y": 0.2}
    _, errors = written(
        MultiLabel(text_column="text", labels=("x", "y")),
        [
            {"text": "a", "gold": ["x"], "labels": ["x"], "scores": scores},
            {"text": "b", "gold": ["y"], "labels": ["x"], "scores": scores},
        ],
        tmp_path / "sets",
    )
    assert [(e["text"], e["missing"], e["extra"]) for e in errors] == [("b", ["y"], ["x"])]
    assert errors[0]["confidence"] == 0.9


class _Dataset(list):
    """What the tasks need of a datasets.Dataset."""

    features = types.MappingProxyType(
        {
            "text": types.SimpleNamespace(),
            "tokens": types.SimpleNamespace(feature=types.SimpleNamespace()),
            "ner_tags": types.SimpleNamespace(feature=types.SimpleNamespace(names=["O", "B-x"])),
            "label": types.SimpleNamespace(names=["no", "yes"]),
        }
    )


def test_a_folder_of_datasets_is_read_with_its_label_names(tmp_path, monkeypatch):
    rows = _Dataset([{"tokens": ["a", "b"], "ner_tags": [1, 0]}])
    library = types.SimpleNamespace(load_from_disk=lambda path: rows)
    monkeypatch.setitem(__import__("sys").modules, "datasets", library)
    task, examples = Labeling(tag_column="ner_tags").fit(tmp_path, bad_rows=BadRows())
    assert (examples[0].words, examples[0].tags) == (("a", "b"), ("B-x", "O"))
    library.load_from_disk = lambda path: {"train": rows, "test": rows}
    with pytest.raises(ValueError, match="holds several splits; give one of them: .*train, .*test"):
        task.read(tmp_path, bad_rows=BadRows())

    def damaged(path):
        raise FileNotFoundError("no state.json")

    library.load_from_disk = damaged
    with pytest.raises(ValueError, match=r"is no folder of datasets.save_to_disk: no state.json"):
        task.read(tmp_path, bad_rows=BadRows())


def test_a_label_that_datasets_does_not_know_is_no_name(tmp_path, monkeypatch):
    rows = _Dataset({"text": "a", "label": label} for label in (1, -1, 0))
    library = types.SimpleNamespace(load_from_disk=lambda path: rows)
    monkeypatch.setitem(__import__("sys").modules, "datasets", library)
    bad_rows = BadRows(skip=True)
    task, examples = Classification().fit(tmp_path, bad_rows=bad_rows)
    assert (task.labels, len(examples)) == (("no", "yes"), 2)
    assert "line 2: column 'label' must hold a label" in bad_rows.messages[0]
    assert "Received: null" in bad_rows.messages[0]


def test_a_folder_without_the_library(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "datasets", None)
    with pytest.raises(ValueError, match="install that library: pip install datasets"):
        Classification().fit(tmp_path, bad_rows=BadRows())
