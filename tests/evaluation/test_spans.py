"""Exact span F1 against counts by hand."""

import pytest

from keras_bert_suite.evaluation.spans import span_scores

GOLD = [[(0, 3, "a"), (4, 6, "b")], [(1, 2, "a")], []]


def test_place_and_label_must_be_right():
    found = [[(0, 3, "a"), (4, 6, "a")], [(1, 3, "a")], [(0, 1, "c")]]
    scores = span_scores(GOLD, found)
    assert (scores["precision"], scores["recall"]) == (100 / 4, 100 / 3)
    assert scores["f1"] == pytest.approx(100 * 2 / 7)
    assert scores["labels"]["a"] == {
        "precision": pytest.approx(100 / 3),
        "recall": 50.0,
        "f1": 40.0,
        "support": 2,
        "predicted": 3,
    }
    assert scores["labels"]["b"]["f1"] == scores["labels"]["c"]["recall"] == 0.0


def test_nothing_to_find_and_nothing_found():
    assert span_scores([[]], [[]]) == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "labels": {}}
    assert span_scores(GOLD, GOLD)["f1"] == 100.0
    assert span_scores([[(0, 1, "a")] * 2], [[(0, 1, "a")] * 3])["labels"]["a"]["predicted"] == 1


def test_as_many_predictions_as_texts():
    with pytest.raises(ValueError, match="Every text needs a prediction. Received: 3 texts, 0"):
        span_scores(GOLD, [])
