"""Bad rows stop a run or are counted."""

import pytest

from keras_bert_suite.tasks.bad_rows import BadRows


def test_a_bad_row_stops_the_run_unless_it_is_told_to_go_on():
    with pytest.raises(ValueError, match=r"a.csv, line 3: no label. \(--skip_bad_rows goes on"):
        BadRows().add("a.csv", 3, "no label.")
    bad_rows = BadRows(skip=True)
    bad_rows.add("a.json", "data[0]", "no id.")
    assert bad_rows.messages == ["a.json, data[0]: no id."]


def test_what_is_left_out_never_stops_the_run():
    bad_rows = BadRows()
    bad_rows.leave_out("a.json", "data[0]", "no answer.")
    assert bad_rows.messages == ["a.json, data[0]: no answer."]
