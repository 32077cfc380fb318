"""What is read from TSV, CSV and JSON lines, and what is said of each kind of bad row."""

import re

import pytest

from keras_bert_suite.tasks import table_files
from keras_bert_suite.tasks.bad_rows import BadRows


def write(path, content):
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return path


def read(path, *, skip=False, named=()):
    bad_rows = BadRows(skip=skip)
    found = table_files.read_rows(path, bad_rows=bad_rows, named=named)
    rows = [(row.line, row.values) for row in found]
    return (rows, bad_rows.messages) if skip else rows


def test_tsv_takes_quotation_marks_as_they_are(tmp_path):
    path = write(tmp_path / "a.tsv", 'text\tlabel\r\nhe said "no\tneg\r\n\r\n"x" y\tpos\r\n')
    assert read(path) == [
        (2, {"text": 'he said "no', "label": "neg"}),
        (4, {"text": '"x" y', "label": "pos"}),
    ]


def test_tsv_parts_lines_at_line_feeds_alone(tmp_path):
    path = write(tmp_path / "a.tsv", "text\tlabel\na\u2028b\x0cc\x85d\tpos\n")
    assert read(path) == [(2, {"text": "a\u2028b\x0cc\x85d", "label": "pos"})]


def test_csv_fields_hold_commas_line_ends_and_quotation_marks(tmp_path):
    path = write(tmp_path / "a.csv", 'text,label\n"a, ""b""\nc",x\nd,y\n')
    assert read(path) == [
        (2, {"text": 'a, "b"\nc', "label": "x"}),
        (4, {"text": "d", "label": "y"}),  # the row before took two lines
    ]


@pytest.mark.parametrize("separator", [";", "\t"])
def test_csv_with_another_separator_where_the_header_has_no_comma(tmp_path, separator):
    lines = ["\ufeff\r\n", '"text";label', '"a;b";x', "c, d;y", ""]
    path = write(tmp_path / "a.csv", "\r\n".join(lines).replace(";", separator))
    assert [values for _, values in read(path)] == [
        {"text": f"a{separator}b", "label": "x"},
        {"text": "c, d", "label": "y"},
    ]


def test_txt_is_a_table_with_tabs_as_snli_and_mrpc_are(tmp_path):
    path = write(tmp_path / "snli_1.0_dev.txt", 'gold_label\tsentence1\n-\ta "b\n')
    assert read(path) == [(2, {"gold_label": "-", "sentence1": 'a "b'})]


def test_csv_fields_may_be_longer_than_the_csv_module_s_limit(tmp_path):
    path = write(tmp_path / "a.csv", f"text,label\n{'a' * 200_000},x\n")
    assert len(read(path)[0][1]["text"]) == 200_000


def test_json_lines_hold_any_values(tmp_path):
    path = write(tmp_path / "a.jsonl", '{"text": "a", "label": 1}\n\n{"n": [1, {"b": null}]}\n')
    assert read(path) == [(1, {"text": "a", "label": 1}), (3, {"n": [1, {"b": None}]})]


def test_a_json_file_may_be_one_list_as_pandas_writes_it(tmp_path):
    path = write(
        tmp_path / "a.json", '\ufeff[{"text":"a","label":1},\n {"text":"b",\n"label":2}]\n'
    )
    assert read(path) == [(1, {"text": "a", "label": 1}), (2, {"text": "b", "label": 2})]
    rows, messages = read(write(path, "[1,\n{}]"), skip=True)
    assert rows == [(2, {})]
    assert messages == [f"{path}, line 1: must be a JSON object. Received: 1."]
    with pytest.raises(ValueError, match="a.json, line 2: byte 0xff is not UTF-8"):
        read(write(path, b'[{"text":\n"\xff"}]'))


def test_a_byte_order_mark_is_no_part_of_the_first_column(tmp_path):
    path = write(tmp_path / "a.csv", b"\xef\xbb\xbftext,label\na,x\n")
    assert read(path) == [(2, {"text": "a", "label": "x"})]


@pytest.mark.parametrize(
    ("named", "first"),
    [
        (("1", None, "0"), {"0": "x", "1": "a", "2": "b"}),
        (("-1", "0"), {"0": "x", "1": "a", "-1": "b"}),
        (("7",), {"0": "x", "1": "a", "2": "b"}),  # the task says that it is not there
    ],
)
def test_columns_of_a_table_without_a_header_have_numbers(tmp_path, named, first):
    for ending, content in ((".csv", '"x","a","b"\ny,c,d\n'), (".tsv", "x\ta\tb\ny\tc\td\n")):
        rows = read(write(tmp_path / f"a{ending}", content), named=named)
        assert rows[0] == (1, first) and [line for line, _ in rows] == [1, 2]


@pytest.mark.parametrize("named", [(), (None, None), ("1", "a"), ("x", "0")])
def test_the_first_row_is_a_header_otherwise(tmp_path, named):
    path = write(tmp_path / "a.csv", "x,a\ny,c\n")
    assert read(path, named=named) == [(2, {"x": "y", "a": "c"})]
    path = write(tmp_path / "b.csv", "0,1\ny,c\n")  # as pandas names columns without names
    assert read(path, named=("1", "0")) == [(2, {"0": "y", "1": "c"})]


def test_unnamed_columns_may_be_many(tmp_path):
    path = write(tmp_path / "a.tsv", "\t\ttext\n0\t1\ta\n")
    assert read(path)[0][1]["text"] == "a"


BAD = {
    "columns": ("a.tsv", "t\tl\na\tx\nb\n", "a.tsv, line 3: 1 column where the first row has 2."),
    "more columns": (
        "a.csv",
        "t,l\na,b,c\n",
        "a.csv, line 2: 3 columns where the first row has 2.",
    ),
    "bytes": ("a.tsv", b"t\tl\na\tx\n\xff\ty\n", "a.tsv, line 3: byte 0xff is not UTF-8."),
    "csv bytes": ("a.csv", b't,l\n"a\nb",x\n\xe9t,y\n', "a.csv, line 4: byte 0xe9 is not UTF-8."),
    "json bytes": ("a.jsonl", b'{"t": "\xff"}\n', "a.jsonl, line 1: byte 0xff is not UTF-8."),
    "open quotation": ("a.csv", 't,l\n"a,x\nb,y\n', "a.csv, line 2: not CSV: unexpected end"),
    "text after quotation": ("a.csv", 't,l\n"a"b,x\n', "a.csv, line 2: not CSV: ',' expected"),
    "json": ("a.jsonl", '{"t": 1}\n{"t": }\n', "a.jsonl, line 2: not JSON: Expecting value at"),
    "no object": ("a.jsonl", "[1, 2]\n", "a.jsonl, line 1: a line must hold a JSON object."),
    "depth": ("a.jsonl", '{"t": ' + "[" * 200_000, "a.jsonl, line 1: not JSON that can be read"),
}


@pytest.mark.parametrize(("name", "content", "message"), BAD.values(), ids=BAD)
def test_a_bad_row_has_file_line_and_reason(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        read(path)
    assert "--skip_bad_rows" in str(error.value)
    assert str(path) in str(error.value)


def test_skipped_rows_are_counted_and_the_others_stay(tmp_path):
    path = write(tmp_path / "a.csv", b't,l\na,x\n"b"c,x\nd\n\xff,y\ne,y\n')
    rows, messages = read(path, skip=True)
    assert [row["t"] for _, row in rows] == ["a", "e"]
    assert [re.search(r"line (\d+)", message)[1] for message in messages] == ["3", "4", "5"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.tsv", "", "a.tsv: the file is empty."),
        ("a.csv", "\n  \n", "a.csv: the file is empty."),
        ("a.jsonl", "", "a.jsonl: the file is empty."),
        ("a.csv", "text,label\n", "a.csv: the file has no rows."),
        ("a.xls", "a", "must be one of .tsv, .txt, .csv, .jsonl, .ndjson, .json. Received: .xls."),
        ("a", "a", "Received: no ending."),
        ("a.csv", "t,t,l\na,b,c\n", "a.csv, line 1: the header names 't' more than once."),
        ("a.csv", b"t\xff,l\na,b\n", "a.csv, line 1: byte 0xff is not UTF-8."),
    ],
)
def test_a_file_that_cannot_be_used(tmp_path, name, content, message):
    path = write(tmp_path / name, content)
    for skip in (False, True):
        with pytest.raises(ValueError, match=re.escape(message)):
            read(path, skip=skip)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing.tsv"):
        read(tmp_path / "nothing.tsv")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"a": "x", "b": "y"}, "no 'text'. There is: 'a', 'b'."),
        ({}, "no 'text'. There is: nothing."),
        ({"text": 3}, "column 'text' must hold a string. Received: 3"),
        ({"text": " \t"}, "the text in column 'text' is empty."),
        ({"text": "a\ud800"}, "half of a surrogate pair (\\ud800)"),
        ({"text": ["x" * 100]}, "xxx..."),
    ],
)
def test_a_text_that_cannot_be_used(values, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        table_files.text_value(values, "text")


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (True, "a string or a whole number. Received: true"),
        (1.5, "Received: 1.5"),
        (None, "Received: null"),
        ("", "the label in column 'label' is empty."),
        ("\ud800", "the label in column 'label' has half of a surrogate pair"),
    ],
)
def test_a_label_that_cannot_be_used(value, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        table_files.label_value({"label": value}, "label")


def test_whole_numbers_are_labels():
    assert table_files.label_value({"label": 1}, "label") == "1"
    assert table_files.label_value({"label": "1"}, "label") == "1"
