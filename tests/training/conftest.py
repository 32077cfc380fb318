"""The strategy of the in-process tests."""

import pytest


@pytest.fixture(scope="session")
def one_device():
    from keras_bert_suite.training.strategies import make_strategy

    return make_strategy("one_device")
