"""Regression, multi-label and multiple choice: their files, targets, answers and scores."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.multilabel import MultiLabel
from keras_bert_suite.tasks.multiple_choice import ChoiceExample, MultipleChoice
from keras_bert_suite.tasks.regression import Regression
from keras_bert_suite.tasks.task import Task


def fit(task, path, text):
    path.write_text(text, encoding="utf-8")
    return task.fit(path, bad_rows=BadRows())


def lines(*rows):
    return "".join(json.dumps(row) + "\n" for row in rows)


def test_regression_of_glue_s_columns(tmp_path):
    text = 'index\tsentence1\tsentence2\tscore\n0\ta\tb\t5.000\n1\tc "d\te\t0.25\n'
    task, examples = fit(Regression(), tmp_path / "sts.tsv", text)
    assert [(e.texts, e.label) for e in examples] == [(("a", "b"), 5.0), (('c "d', "e"), 0.25)]
    assert (task.text_a_column, task.label_column) == ("sentence1", "score")
    rows = task.features(examples, toy.tokenizer(), max_length=9).rows
    assert rows["label_values"].tolist() == [5.0, 0.25] and rows["label_values"].dtype == "f4"
    decoded = task.decode({"label_logits": tf.constant([[4.5], [0.75]])}, {})
    predictions = task.predictions({k: v.numpy() for k, v in decoded.items()}, examples)
    assert predictions[0] == {"text_a": "a", "text_b": "b", "gold": 5.0, "value": 4.5}
    metrics = task.score(predictions, examples)
    assert metrics["pearson"] == pytest.approx(1.0)
    assert metrics["mean_absolute_error"] == 0.5
    assert "Spearman correlation: 1.0000" in task.report(metrics)
    assert Task.from_config(json.loads(json.dumps(task.to_config()))) == task


@pytest.mark.parametrize(
    ("label", "message"),
    [
        ('"x"', "column 'label' must hold a number. Received: x"),
        ("NaN", "column 'label' must hold a number."),
        ("true", "column 'label' must hold a number. Received: true"),
        ("null", "column 'label' must hold a number. Received: null"),
    ],
)
def test_what_is_no_number(tmp_path, label, message):
    with pytest.raises(ValueError, match=re.escape(f"line 1: {message}")):
        fit(Regression(), tmp_path / "a.jsonl", f'{{"text": "a", "label": {label}}}')


def test_numbers_that_never_differ_cannot_be_learnt(tmp_path):
    with pytest.raises(ValueError, match="at least two different numbers in column 'label'"):
        fit(Regression(), tmp_path / "a.tsv", "text\tlabel\na\t1\nb\t1.0\n")


def test_multilabel_from_lists_and_tables(tmp_path):
    rows = [
        {"text": "a", "labels": ["y", "x", "y"]},
        {"text": "b", "labels": []},
        {"text": "c", "labels": [1]},
    ]
    task, examples = fit(MultiLabel(), tmp_path / "a.jsonl", lines(*rows))
    assert task.labels == ("1", "x", "y")
    assert [e.label for e in examples] == [("y", "x"), (), ("1",)]
    targets = task.features(examples, toy.tokenizer(), max_length=9).rows["label_targets"]
    assert targets.tolist() == [[0, 1, 1], [0, 0, 0], [1, 0, 0]]
    other, examples = fit(
        MultiLabel(label_separator="|"), tmp_path / "a.csv", "text,labels\na,x| y\nb,\n"
    )
    assert [e.label for e in examples] == [("x", "y"), ()]


def test_multilabel_answers_and_the_tuned_threshold(tmp_path):
    text = "text\tlabels\na\tx;y\nb\tx\nc\ty\n"
    task, examples = fit(MultiLabel(threshold="tuned"), tmp_path / "a.tsv", text)
    logits = tf.constant([[2.0, -1.0], [1.0, -3.0], [-3.0, -1.5]])
    decoded = task.decode({"label_logits": logits}, {})
    assert decoded["is_label"].numpy().tolist() == [[True, False], [True, False], [False, False]]
    predictions = task.predictions({k: v.numpy() for k, v in decoded.items()}, examples)
    assert [p["labels"] for p in predictions] == [["x"], ["x"], []]
    assert task.score(predictions, examples)["micro_f1"] == pytest.approx(2 * 2 / (4 + 2))
    tuned, predictions = task.calibrated(predictions, examples)
    assert [p["labels"] for p in predictions] == [["x", "y"], ["x"], ["y"]]
    # Halfway between sigmoid(-1.5) and sigmoid(-3).
    assert float(tuned.threshold) == pytest.approx((0.18242552 + 0.04742587) / 2, abs=1e-6)
    metrics = tuned.score(predictions, examples)
    assert (metrics["micro_f1"], metrics["exact_match"]) == (1.0, 1.0)
    assert "micro F1: 1.0000" in tuned.report(metrics)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: MultiLabel(threshold="1"), "--threshold must be tuned or a number in (0, 1)."),
        (lambda: MultiLabel(threshold="x"), "--threshold must be tuned or a number in (0, 1)."),
        (lambda: MultiLabel(label_separator=""), "--label_separator must not be empty."),
    ],
)
def test_bad_options(make, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        make()


def test_multilabel_errors_have_their_place(tmp_path):
    told = MultiLabel(labels=("x", "y"))
    with pytest.raises(ValueError, match=re.escape("line 2: unknown label 'z'. Known: 'x', 'y'.")):
        fit(told, tmp_path / "a.tsv", "text\tlabels\na\tz\n")
    with pytest.raises(ValueError, match="must hold a list of labels. Received: 3"):
        fit(told, tmp_path / "a.jsonl", lines({"text": "a", "labels": 3}))
    with pytest.raises(ValueError, match="at least two labels are needed. Column 'labels' has"):
        fit(MultiLabel(), tmp_path / "b.tsv", "text\tlabels\na\tx\n")


@pytest.mark.parametrize(
    ("row", "expected"),
    [
        (
            {"sent1": "A man", "sent2": "He", "ending0": "runs", "ending1": "eats", "label": 1},
            ChoiceExample("A man", ("He runs", "He eats"), ("runs", "eats"), 1),
        ),
        (
            {"article": "Text", "question": "It is _ .", "options": ["a", "b"], "answer": "B"},
            ChoiceExample("Text", ("It is a .", "It is b ."), ("a", "b"), 1),
        ),
        (
            {"question": "Why?", "choices": ["so", "no"], "label": "so"},
            ChoiceExample("Why?", ("so", "no"), ("so", "no"), 0),
        ),
    ],
)
def test_multiple_choice_reads_the_known_forms(tmp_path, row, expected):
    _, examples = fit(MultipleChoice(), tmp_path / "a.jsonl", lines(row))
    assert examples == [expected]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"question": "a", "choices": ["b"], "label": 0}, "at least two choices are needed."),
        ({"question": "a", "choices": "bc", "label": 0}, "'choices' must hold a list of strings"),
        ({"choices": ["b", "c"], "label": 0}, "no context (context, article, "),
        ({"question": "a", "choices": ["b", "c"], "label": 2}, "the label '2' in column 'label'"),
        ({"question": "a", "choices": ["b", "c"], "label": "C"}, "is none of 2 choices"),
        ({"question": "a", "choices": ["b", " "], "label": 0}, "column 'choices, 1' is empty"),
        ({"question": "a", "choices": ["b", "c"]}, "no 'label'."),
    ],
)
def test_multiple_choice_errors_have_their_place(tmp_path, row, message):
    with pytest.raises(ValueError, match="line 1: .*" + re.escape(message)):
        fit(MultipleChoice(), tmp_path / "a.jsonl", lines(row))


def test_choices_of_a_question_are_compared_with_each_other():
    task = MultipleChoice()
    examples = [
        ChoiceExample("a", ("b", "c"), ("b", "c"), 1),
        ChoiceExample("d", ("e", "e", "e"), ("e", "f", "g"), 0),
    ]
    features = task.features(examples, toy.tokenizer(), max_length=9)
    assert features.rows["choice_targets"].tolist() == [0, 1, 1, 0, 0]
    decoded = {
        "choice_score": np.array([0.0, np.log(3), 5.0, 5.0, 6.0], np.float32),
        "example_index": features.example_index,
    }
    first, second = task.predictions(decoded, examples)
    assert (first["label"], first["choice"]) == (1, "c")
    assert first["scores"] == pytest.approx([0.25, 0.75])
    assert (second["label"], second["choice"]) == (2, "g")
    metrics = task.score([first, second], examples)
    assert metrics["accuracy"] == 0.5
    assert metrics["chance_accuracy"] == pytest.approx((1 / 2 + 1 / 3) / 2)
