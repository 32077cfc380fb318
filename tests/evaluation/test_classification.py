"""Classification scores against numbers computed by hand."""

import numpy as np
import pytest

from keras_bert_suite.evaluation import classification

# gold \ predicted:  0  1  2
#                0   2  1  0
#                1   0  1  1
#                2   1  0  4
GOLD = [0, 0, 0, 1, 1, 2, 2, 2, 2, 2]
PREDICTED = [0, 0, 1, 1, 2, 0, 2, 2, 2, 2]


@pytest.fixture
def confusion():
    return classification.confusion_matrix(np.array(GOLD), np.array(PREDICTED), num_labels=3)


def test_confusion_matrix_has_gold_in_rows(confusion):
    assert confusion.tolist() == [[2, 1, 0], [0, 1, 1], [1, 0, 4]]


def test_accuracy_and_majority(confusion):
    assert classification.accuracy(confusion) == 7 / 10
    assert classification.majority_accuracy(confusion) == 5 / 10  # label 2 has 5 of 10


def test_label_scores(confusion):
    scores = classification.label_scores(confusion)
    np.testing.assert_allclose(scores.precision, [2 / 3, 1 / 2, 4 / 5])
    np.testing.assert_allclose(scores.recall, [2 / 3, 1 / 2, 4 / 5])
    # 2 PR / (P + R): precision equals recall here, so F1 is the same number
    np.testing.assert_allclose(scores.f1, [2 / 3, 1 / 2, 4 / 5])
    assert scores.support.tolist() == [3, 2, 5]
    assert scores.predicted.tolist() == [3, 2, 5]
    assert classification.macro_f1(confusion) == pytest.approx((2 / 3 + 1 / 2 + 4 / 5) / 3)


def test_two_labels_by_hand():
    # 3 true positives, 1 false positive, 2 false negatives, 4 true negatives
    gold = np.array([1] * 3 + [0] + [1] * 2 + [0] * 4)
    predicted = np.array([1] * 3 + [1] + [0] * 2 + [0] * 4)
    confusion = classification.confusion_matrix(gold, predicted, num_labels=2)
    scores = classification.label_scores(confusion)
    assert scores.precision[1] == 3 / 4
    assert scores.recall[1] == 3 / 5
    assert scores.f1[1] == pytest.approx(2 * 3 / (2 * 3 + 1 + 2))
    # Matthews: (TP TN - FP FN) / sqrt((TP+FP)(TP+FN)(TN+FP)(TN+FN))
    expected = (3 * 4 - 1 * 2) / (4 * 5 * 5 * 6) ** 0.5
    assert classification.matthews_correlation(confusion) == pytest.approx(expected)


def test_matthews_is_the_correlation_of_indicators(confusion):
    gold, predicted = np.eye(3)[GOLD], np.eye(3)[PREDICTED]
    gold, predicted = gold - gold.mean(0), predicted - predicted.mean(0)
    expected = (gold * predicted).sum() / ((gold**2).sum() * (predicted**2).sum()) ** 0.5
    assert classification.matthews_correlation(confusion) == pytest.approx(expected)


def test_absent_labels_do_not_count_and_empty_shares_are_zero():
    # label 2 never occurs; label 1 is never predicted
    confusion = classification.confusion_matrix(
        np.array([0, 0, 1]), np.array([0, 0, 0]), num_labels=3
    )
    scores = classification.label_scores(confusion)
    assert scores.precision.tolist() == [2 / 3, 0, 0]
    assert scores.recall.tolist() == [1, 0, 0]
    assert classification.macro_f1(confusion) == pytest.approx((4 / 5 + 0) / 2)
    assert classification.matthews_correlation(confusion) == 0


@pytest.mark.parametrize(
    ("gold", "predicted", "message"),
    [
        ([0, 1], [0], r"one length, at least 1. Received: shapes \(2,\) and \(1,\)"),
        ([], [], "at least 1"),
        ([0, 2], [0, 1], r"gold ids must be in \[0, 2\). Received: 0 to 2"),
        ([0, 1], [0, -1], r"predicted ids must be in \[0, 2\). Received: -1 to 0"),
    ],
)
def test_wrong_ids(gold, predicted, message):
    with pytest.raises(ValueError, match=message):
        classification.confusion_matrix(np.array(gold), np.array(predicted), num_labels=2)
