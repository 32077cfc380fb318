"""Readers of questions: SQuAD's JSON and JSON lines; each error has its place."""

import json

import pytest

from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.squad_files import question_of, read_questions

CONTEXT = "In 1066 the Normans \U0001f600 came, and in 1077 they stayed."


def write(path, *questions, context=CONTEXT):
    paragraph = {"context": context, "qas": list(questions)}
    path.write_text(json.dumps({"data": [{"title": "t", "paragraphs": [paragraph]}]}))
    return path


def question(name="q", *answers, **more):
    texts = [{"text": text, "answer_start": start} for text, start in answers]
    return {"id": name, "question": "When?", "answers": texts, **more}


def read(path, *, skip=False):
    bad_rows = BadRows(skip=skip)
    return read_questions(path, bad_rows=bad_rows), bad_rows.messages


def test_answers_and_unanswerable_questions(tmp_path):
    path = write(
        tmp_path / "a.json",
        question("a", ("1066", 3), ("Normans", 12), is_impossible=False),
        question("b", is_impossible=True),
    )
    (first, second), _ = read(path)
    assert (first.answers, first.span, first.lost) == (("1066", "Normans"), (3, 7), False)
    assert first.context[slice(*first.span)] == "1066"
    assert (second.answers, second.span, second.lost) == ((), None, False)


@pytest.mark.parametrize(
    ("text", "start", "span"),
    [
        ("1077", 37, (35, 39)),  # bytes were counted: the emoji has more than one
        ("1077", 33, (35, 39)),
        ("in", 30, (32, 34)),
        ("1077", 3, (35, 39)),
        ("Normans", 48, None),  # too far
        ("1078", 35, None),
        ("1066", -1, None),
        ("normans", 12, None),
        ("  ", 2, None),
    ],
)
def test_an_offset_is_repaired_where_the_text_stands_nearby(tmp_path, text, start, span):
    (only,), _ = read(write(tmp_path / "a.json", question("a", (text, start))))
    assert only.span == span
    assert only.lost == (span is None)


def test_json_lines_flat_and_as_the_datasets_library_has_them(tmp_path):
    flat = {**question("a", ("1066", 3)), "context": CONTEXT}
    columns = {**flat, "id": 7, "answers": {"text": ["Normans"], "answer_start": [12]}}
    path = tmp_path / "a.jsonl"
    path.write_text(json.dumps(flat) + "\n\n" + json.dumps(columns) + "\n")
    (first, second), _ = read(path)
    assert (first.span, second.id, second.span) == ((3, 7), "7", (12, 19))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "a.json: not JSON: Expecting property name.*ends in .jsonl"),
        ("[]", 'not SQuAD\'s JSON: the whole must be an object with the list "data"'),
        ('{"data": [1]}', r'data\[0\] must be an object with the list "paragraphs"'),
        ('{"data": [{"paragraphs": [{}]}]}', r'data\[0\].paragraphs\[0\] .* list "qas"'),
        ('{"data": [{"paragraphs": [{"qas": [3]}]}]}', r"qas\[0\] must be an object. The layout"),
        ('{"data": []}', "no question in it can be used"),
        ("[" * 100000, "not JSON"),
    ],
)
def test_json_that_is_not_squad(tmp_path, content, message):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ValueError, match=message):
        read(tmp_path / "a.json")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"question": 3}, '"question" must be a string. Received: 3'),
        ({"id": ""}, '"id" must be a string that is not empty'),
        ({"id": "good"}, "the id 'good' was there before"),
        ({"answers": None}, '"answers" must be a list.*Received: nothing'),
        ({"answers": [{"text": "1066"}]}, 'a whole number "answer_start"'),
        ({"answers": ["1066"]}, 'a string "text"'),
        ({"is_impossible": True}, '"is_impossible" is true, and yet there are answers'),
        ({"question": "\ud83d"}, "half of a surrogate pair"),
    ],
)
def test_a_malformed_question_has_its_place_and_may_be_skipped(tmp_path, change, message):
    good = question("good", ("1066", 3))
    path = write(tmp_path / "a.json", good, {**question("bad", ("1066", 3)), **change})
    with pytest.raises(
        ValueError, match=rf"a.json, data\[0\].paragraphs\[0\].qas\[1\]: .*{message}"
    ):
        read(path)
    examples, messages = read(path, skip=True)
    assert [example.id for example in examples] == ["good"] and len(messages) == 1


def test_a_record_to_answer():
    asked = question_of({"question": "When?", "context": ""})
    assert (asked.answers, asked.context) == (None, "")
    with pytest.raises(ValueError, match="the text in column 'question' is empty"):
        question_of({"question": " ", "context": "x"})
    with pytest.raises(ValueError, match='"context" must be a string. Received: None'):
        question_of({"question": "When?"})
