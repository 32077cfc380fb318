"""What all tests share: the data directory, quiet libraries, the same random numbers every run."""

from __future__ import annotations

import os
import random
import signal
import sys
from pathlib import Path

import pytest

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    # A script starts what runs in its background so, and programs under test would inherit it.
    signal.signal(signal.SIGINT, signal.default_int_handler)

_REPOSITORY = Path(__file__).resolve().parent.parent


@pytest.fixture(autouse=True)
def _same_random_numbers() -> None:
    """Seeds Python, and NumPy, Keras and TensorFlow where the test has imported them."""
    random.seed(0)
    if "keras" in sys.modules:
        sys.modules["keras"].utils.set_random_seed(0)
    elif "numpy" in sys.modules:
        sys.modules["numpy"].random.seed(0)


@pytest.fixture(scope="session")
def repository() -> Path:
    """The root of the checkout: tests read its files (bin/, README.md), never import from it."""
    return _REPOSITORY


@pytest.fixture(scope="session")
def kbs_data() -> Path:
    """The directory of reference data: $KBS_DATA, or shared/data beside the checkout."""
    path = Path(os.environ.get("KBS_DATA") or _REPOSITORY.parent / "shared" / "data")
    if not path.is_dir():
        pytest.skip(f"no reference data at {path}; set KBS_DATA to its directory")
    return path


@pytest.fixture(scope="session")
def interop_python() -> str:
    """A Python interpreter that has torch and transformers: $KBS_INTEROP_PYTHON."""
    path = os.environ.get("KBS_INTEROP_PYTHON")
    if not path:
        pytest.skip("set KBS_INTEROP_PYTHON to a Python with torch, transformers and safetensors")
    return path
