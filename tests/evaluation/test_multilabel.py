"""Scores of sets of labels, by hand."""

import numpy as np
import pytest

from keras_bert_suite.evaluation.multilabel import best_threshold, multilabel_scores

_GOLD = np.array([[1, 0], [1, 1], [0, 0], [0, 1]], bool)


def test_micro_macro_and_exact():
    found = np.array([[1, 0], [1, 0], [1, 0], [0, 0]], bool)
    scores = multilabel_scores(_GOLD, found, labels=["a", "b"])
    # a: 2 hits of 3 found and 2 gold; b: none of 2.
    assert scores["labels"]["a"] == {
        "precision": 2 / 3, "recall": 1.0, "f1": 0.8, "support": 2, "predicted": 3,
    }  # fmt: skip
    assert scores["labels"]["b"]["f1"] == 0.0
    assert scores["micro_precision"] == 2 / 3
    assert scores["micro_recall"] == 0.5
    assert scores["micro_f1"] == pytest.approx(4 / 7)
    assert (scores["macro_f1"], scores["exact_match"]) == (0.4, 0.25)


def test_the_best_threshold_parts_the_scores():
    scores = np.array([[0.9, 0.1], [0.8, 0.4], [0.3, 0.2], [0.1, 0.4]], np.float32)
    threshold = best_threshold(_GOLD, scores)
    assert threshold == pytest.approx(0.35)
    assert ((scores >= threshold) == _GOLD).all()


def test_without_anything_to_choose_by():
    assert best_threshold(np.zeros([2, 2], bool), np.full([2, 2], 0.3, np.float32)) == 0.5
