"""A published ALBERT with its head, read as it comes, against the numbers that PyTorch gave."""

from __future__ import annotations

import subprocess
import sys
import zipfile

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.checkpoints.model_directory import load_model, save_model

pytestmark = pytest.mark.slow

_WHEEL = "rxnmapper==0.4.3"  # 3 MB
_TOLERANCE = 1e-4  # measured: hidden states 3e-5, logits 6e-5 (of up to 27)


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """The directory of the model in the wheel, which is downloaded and not imported."""
    folder = tmp_path_factory.mktemp("rxnmapper")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder, _WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot download {_WHEEL}: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    (weights,) = folder.glob("rxnmapper/models/transformers/*/pytorch_model.bin")
    return weights.parent


def test_hidden_states_and_logits(directory, kbs_data, tmp_path):
    reference = np.load(kbs_data / "reference_rxnmapper_albert" / "reference.npz")
    model = load_model(directory)
    assert model.encoder.config.family == "albert"
    assert len(model.encoder.blocks) == 1 and model.encoder.config.num_layers == 12
    batch = {
        "token_ids": tf.constant(reference["input_ids"], tf.int32),
        "padding_mask": tf.constant(reference["attention_mask"], tf.int32),
    }
    real = reference["attention_mask"][:, :, None]
    encoded = model.encoder(batch, return_all_hidden_states=True)
    hidden = np.stack(encoded["all_hidden_states"])
    np.testing.assert_allclose(hidden * real, reference["hidden_states"] * real, atol=_TOLERANCE)
    logits = model(batch)["mlm_logits"]
    np.testing.assert_allclose(logits * real, reference["mlm_logits"] * real, atol=_TOLERANCE)
    save_model(model, tmp_path / "again")
    again = load_model(tmp_path / "again")
    np.testing.assert_array_equal(again(batch)["mlm_logits"], logits)
