"""Calibration error by hand."""

import pytest

from keras_bert_suite.evaluation.calibration import expected_calibration_error


def test_bins_weigh_as_much_as_they_hold():
    """Two bins: (0, 0.5] has 0.4 sure and 1 right of 1, (0.5, 1] has 0.8 sure and 1 right of 2."""
    error = expected_calibration_error([0.4, 0.7, 0.9], [True, True, False], num_bins=2)
    assert error == pytest.approx((1 * abs(0.4 - 1.0) + 2 * abs(0.8 - 0.5)) / 3)


def test_the_ends_have_their_bins():
    assert expected_calibration_error([1.0, 1.0], [True, True]) == 0.0
    assert expected_calibration_error([0.0], [True]) == 1.0
    assert expected_calibration_error([0.5] * 4, [True, False, True, False]) == 0.0


def test_vectors_of_one_length():
    with pytest.raises(ValueError, match="confidences and correct must be vectors of one length"):
        expected_calibration_error([0.5], [])
