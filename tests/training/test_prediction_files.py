"""Answers to files in the formats that the tasks learn from, with targets or without."""

import json
import os
import threading

import pytest
import toy_classification as toy

from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.labeling import Labeling
from keras_bert_suite.tasks.question_answering import QuestionAnswering
from keras_bert_suite.training.prediction_files import predict_file


class Echo:
    """In a Predictor's place: answers each example with what it was made of."""

    def __init__(self, task):
        self.task = task

    def predict(self, examples):
        return [str(getattr(example, "texts", None) or example) for example in examples]


def answers(task, path, *, skip=False, content=None):
    if content is not None:
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    bad_rows = BadRows(skip=skip)
    found = list(predict_file(Echo(task), path, lines_at_a_time=2, bad_rows=bad_rows))
    return (found, bad_rows.messages) if skip else found


SINGLE = Classification(text_column="sentence", labels=("0", "1"))


def test_a_test_file_of_glue_without_labels(tmp_path):
    rows = [(str(number), text) for number, (text, _) in enumerate(toy.texts(5))]
    path = toy.write_rows(tmp_path / "test.tsv", ["index", "sentence"], rows)
    found = answers(SINGLE, path)
    assert [(one["index"], one["sentence"]) for one in found] == rows
    assert found[4]["prediction"] == str((rows[4][1],))


def test_csv_and_lists_of_objects(tmp_path):
    found = answers(SINGLE, tmp_path / "a.csv", content='sentence\n"a, b"\n')
    assert found == [{"sentence": "a, b", "prediction": "('a, b',)"}]
    found = answers(SINGLE, tmp_path / "a.json", content='[{"sentence": "a"},\n{"sentence": "b"}]')
    assert [one["sentence"] for one in found] == ["a", "b"]


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.txt", "a"])
def test_json_lines_under_any_name(tmp_path, name):
    content = '\ufeff\n{"sentence": "a"}\n\n{"sentence": "b"}\n'
    assert len(answers(SINGLE, tmp_path / name, content=content)) == 2


def test_a_pipe_is_read_once(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    writer = threading.Thread(
        target=lambda: (tmp_path / "pipe").write_text('{"sentence": "a"}\n{"sentence": "b"}\n')
    )
    writer.start()
    assert len(answers(SINGLE, tmp_path / "pipe")) == 2
    writer.join()


def test_words_in_columns_with_tags_or_without(tmp_path):
    task = Labeling(labels=("O", "B-x", "I-x"), tag_scheme="BIO")
    for content in ("a\nb\n\nc\n", "a O\nb B-x\n\nc O\n"):
        found = answers(task, tmp_path / "a.conll", content=content)
        assert [one["tokens"] for one in found] == [["a", "b"], ["c"]]
    named = Labeling(labels=task.labels, tag_scheme="BIO", word_column="Word", tag_column="Tag")
    found = answers(named, tmp_path / "a.txt", content="Word Tag\na O\n")
    assert found[0]["Word"] == ["a"]
    found = answers(task, tmp_path / "a.jsonl", content='{"tokens": ["a"]}\n{"text": "b c"}\n')
    assert len(found) == 2


def test_questions_of_squad_s_json(tmp_path):
    asked = {"id": "1", "question": "who?"}
    squad = {"data": [{"paragraphs": [{"context": "it is he", "qas": [asked]}]}]}
    task = QuestionAnswering()
    for indent in (None, 1):
        found = answers(task, tmp_path / "a.json", content=json.dumps(squad, indent=indent))
        assert (found[0]["id"], found[0]["context"]) == ("1", "it is he")
    found = answers(task, tmp_path / "b.json", content=json.dumps({**asked, "context": "he"}))
    assert found[0]["context"] == "he"
    asked["question"] = ""
    found, messages = answers(task, tmp_path / "a.json", content=json.dumps(squad), skip=True)
    assert found == []
    assert "data[0].paragraphs[0].qas[0]: the text in column 'question' is empty" in messages[0]


def test_bad_rows_have_their_places_and_can_be_skipped(tmp_path):
    content = b'{"sentence": "a"}\n{"sentence": ""}\n\xff\n{\n{"sentence": "b"}\n'
    found, messages = answers(SINGLE, tmp_path / "a.jsonl", content=content, skip=True)
    assert [one["sentence"] for one in found] == ["a", "b"]
    assert [message.partition(": ")[0][-6:] for message in messages] == [
        "line 2", "line 3", "line 4",
    ]  # fmt: skip
    with pytest.raises(ValueError, match=r"a.jsonl, line 2: the text in .*--skip_bad_rows"):
        answers(SINGLE, tmp_path / "a.jsonl")
    with pytest.raises(ValueError, match=r"a.csv, line 3: 2 columns where the first row has 1"):
        answers(SINGLE, tmp_path / "a.csv", content="sentence\na\nb,c\n")
