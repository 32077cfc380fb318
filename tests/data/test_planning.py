import pytest

from keras_bert_suite.data.planning import check_objectives, rows_for


def test_rows_follow_from_the_objectives():
    assert rows_for(None, ("mlm",)) == "doc_sentences"
    assert rows_for(None, ("mlm", "sop")) == rows_for(None, ("nsp", "mlm")) == "segment_pairs"
    assert rows_for("segment_pairs", ("mlm",)) == "segment_pairs"
    assert rows_for("full_sentences", ("mlm",)) == "full_sentences"


@pytest.mark.parametrize(
    ("rows", "objectives", "message"),
    [
        ("blocks", ("mlm",), "rows must be one of segment_pairs, .*Received: 'blocks'"),
        ("doc_sentences", ("mlm", "sop"), "sop need rows=segment_pairs. Received: rows=doc_sen"),
    ],
)
def test_rows_that_do_not_fit_are_named(rows, objectives, message):
    with pytest.raises(ValueError, match=message):
        rows_for(rows, objectives)


@pytest.mark.parametrize("objectives", [(), ("nsp",), ("mlm", "xyz"), ("mlm", "mlm")])
def test_wrong_objectives_are_named(objectives):
    with pytest.raises(ValueError, match="must be mlm and any of nsp, sop.*each once. Received: '"):
        check_objectives(objectives)
