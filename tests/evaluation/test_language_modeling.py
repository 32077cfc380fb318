"""The unigram reference, by hand."""

import math

import numpy as np
import pytest

from keras_bert_suite.evaluation.language_modeling import unigram_entropy


def _batch(ids, weights):
    return {"prediction_ids": np.array(ids, np.int32), "prediction_weights": np.array(weights)}


def test_cross_entropy_with_add_one_smoothing():
    # Counts 6, 1, 0 of a vocabulary of 3: probabilities 7/10, 2/10, 1/10.
    # Targets 0, 0, 1, 2 count; the padded 0 does not.
    batches = [_batch([[0, 0], [1, 0]], [[1.0, 1.0], [1.0, 0.0]]), _batch([[2]], [[1.0]])]
    expected = -(2 * math.log(0.7) + math.log(0.2) + math.log(0.1)) / 4
    assert unigram_entropy(iter(batches), token_counts=[6, 1, 0]) == pytest.approx(expected, 1e-12)


def test_uniform_counts_give_the_logarithm_of_the_vocabulary():
    batch = _batch([[0, 3, 7]], [[1.0, 1.0, 1.0]])
    assert unigram_entropy([batch], token_counts=np.full(8, 5)) == pytest.approx(math.log(8))
    assert unigram_entropy([batch], token_counts=np.zeros(8)) == pytest.approx(math.log(8))


@pytest.mark.parametrize(
    ("batches", "counts", "message"),
    [
        ([_batch([[3]], [[1.0]])], [1, 1, 1], r"outside token_counts \(3 tokens\).*\[3, 3\]"),
        ([_batch([[0]], [[0.0]])], [1, 1], "no prediction that counts"),
        ([], [1, 1], "no prediction that counts"),
        ([{"token_ids": 1}], [1, 1], "must have prediction_ids. Received the keys: token_ids"),
        ([], [[1, 1]], r"must be a vector of counts.*shape \(1, 2\)"),
        ([], [], "must be a vector of counts"),
        ([], [-1, 1], "must be a vector of counts"),
    ],
)
def test_wrong_input_is_named(batches, counts, message):
    with pytest.raises(ValueError, match=message):
        unigram_entropy(batches, token_counts=counts)
