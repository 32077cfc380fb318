"""Readers of texts with spans; each error has its file and line."""

import json

import pytest

from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.span_files import Span, example_of
from keras_bert_suite.tasks.table_files import read_rows


def examples(path, *, skip=False):
    bad_rows = BadRows(skip=skip)
    rows = read_rows(path, bad_rows=bad_rows)
    return [(row.line, example_of(row.values, with_spans=True)) for row in rows]


def test_json_lines(tmp_path):
    rows = [
        {
            "text": "a \U0001f600 cat",
            "spans": [{"start": 4, "end": 7, "label": "x", "text": "cat"}],
        },
        {"text": "b", "spans": [], "context": ["first name", "date"]},
    ]
    path = tmp_path / "a.jsonl"
    path.write_text("\n\n".join(map(json.dumps, rows)))
    (line, first), (last_line, second) = examples(path)
    assert (line, first.spans, first.text[4:7]) == (1, (Span(4, 7, "x"),), "cat")
    assert (last_line, second.context, second.spans) == (3, "first name, date", ())


def test_restaurant8k(tmp_path):
    rows = [
        {
            "userInput": {"text": "5 of us"},
            "labels": [{"slot": "people", "valueSpan": {"endIndex": 1}}],
            "context": {"requestedSlots": ["people", "first_name"]},
        },
        {"userInput": {"text": "hello"}},
    ]
    path = tmp_path / "a.json"
    path.write_text(json.dumps(rows, indent=1))
    (line, first), (last_line, second) = examples(path)
    lines = path.read_text().split("\n")
    assert line == 2
    assert lines[last_line - 1 : last_line + 2] == [" {", '  "userInput": {', '   "text": "hello"']
    assert (first.context, first.spans) == ("people, first name", (Span(0, 1, "people"),))
    assert (second.context, second.spans) == ("", ())


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('[\n{"a": 1},\n{"a" 1}]', "line 3: not JSON: Expecting ':'"),
        ('[{"a": 1}\n {"a": 1}]', "line 2: not JSON: the list does not go on or end"),
        ('[{"a": 1}', "the list does not go on"),
        ("[\n3]", "line 2: must be a JSON object. Received: 3"),
        ("[" * 100_000, "nests too deep|not JSON"),
        ('{"text": 1', "line 1: not JSON"),
    ],
)
def test_lists_that_are_none(tmp_path, text, message):
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(ValueError, match=message):
        list(read_rows(tmp_path / "a.json", bad_rows=BadRows()))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"text": "cat"}, 'a row needs "spans", a list.*Received: nothing'),
        ({"text": "cat", "spans": [3]}, "a span must be an object"),
        ({"text": "cat", "spans": [{"start": 0}]}, "must be whole numbers"),
        ({"text": "cat", "spans": [{"start": 1, "end": 1}]}, r"not be empty. Received: \[1, 1\)"),
        ({"text": "cat", "spans": [{"start": 0, "end": 4}]}, "in the text, of 3 characters"),
        (
            {"text": "cat", "spans": [{"start": 0, "end": 2, "text": "at"}]},
            r"the span \[0, 2\) is 'ca' and not 'at'",
        ),
        ({"text": "cat", "spans": [{"start": 0, "end": 2, "label": []}]}, "must hold a label"),
        ({"text": "cat", "spans": [], "context": 3}, '"context" must be a text or a list'),
        ({"userInput": {"text": 3}}, "'text' must be there, as in Restaurant8k"),
        ({"userInput": {"text": "x"}, "labels": {}}, "'labels' must be there"),
    ],
)
def test_rows_that_are_none(values, message):
    with pytest.raises(ValueError, match=message):
        example_of(values, with_spans=True)
