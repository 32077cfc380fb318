"""Makes the helpers of this directory importable and gives the strategy of the in-process tests."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parent))


@pytest.fixture(scope="session")
def one_device():
    from keras_bert_suite.training.strategies import make_strategy

    return make_strategy("one_device")
