"""Correlations: numbers that SciPy gave, and what the definitions give."""

import re

import numpy as np
import pytest

from keras_bert_suite.evaluation.regression import errors, pearson, ranks, spearman

_GOLD = [5.0, 4.75, 0.0, 2.4, 2.4, 1.2, 3.0, 3.0]
_FOUND = [4.1, 4.9, 0.3, 2.0, 2.6, 2.0, 1.1, 3.3]


def test_correlations_are_scipy_s():
    """SciPy 1.17.1: pearsonr(_GOLD, _FOUND)[0] and spearmanr(_GOLD, _FOUND)[0]; ties in both."""
    assert pearson(_GOLD, _FOUND) == pytest.approx(0.8574533299542034, abs=1e-15)
    assert spearman(_GOLD, _FOUND) == pytest.approx(0.7697111059352455, abs=1e-15)


def test_by_hand():
    assert pearson([1, 2, 3], [2, 4, 6]) == pytest.approx(1.0)
    assert pearson([1, 2, 3], [3, 2, 1]) == pytest.approx(-1.0)
    # Deviations (-1, 0, 1) and (-1, 1, 0): 1 / (sqrt 2 sqrt 2).
    assert pearson([1, 2, 3], [1, 3, 2]) == pytest.approx(0.5)
    assert spearman([1, 2, 30], [1, 9, 4]) == pytest.approx(0.5)
    assert ranks(np.array([7.0, 3.0, 7.0, 1.0])).tolist() == [3.5, 2.0, 3.5, 1.0]
    assert errors([1.0, 2.0], [2.0, 4.0]) == {
        "mean_squared_error": 2.5,
        "mean_absolute_error": 1.5,
    }


def test_a_constant_correlates_with_nothing():
    assert pearson([1, 2], [3, 3]) == 0.0
    assert spearman([1, 1], [3, 4]) == 0.0
    assert pearson(np.full(1000, 0.1), np.full(1000, 0.3)) == 0.0  # whose means are rounded


@pytest.mark.parametrize(("gold", "found"), [([], []), ([1], [1, 2])])
def test_vectors_of_one_length(gold, found):
    with pytest.raises(ValueError, match=re.escape("gold and predicted must be vectors of one")):
        pearson(gold, found)
