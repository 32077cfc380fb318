"""A LoRA directory opens in PEFT beside its base with the same logits, and the reverse."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest
import toy_classification as toy
import tuned_models

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.tuning.lora import Lora

pytestmark = pytest.mark.interop

_SCRIPT = Path(__file__).with_name("run_peft.py")
_TOLERANCE = 1e-4


@pytest.fixture
def logits_in_peft(interop_python, tmp_path):
    """Returns a function (command, base, directory) -> PEFT's logits of the toy batch."""

    def run(command, base, directory):
        batch = tuned_models.batch()
        np.savez(
            tmp_path / "inputs.npz",
            input_ids=np.array(batch["token_ids"], np.int64),
            token_type_ids=np.array(batch["segment_ids"], np.int64),
            attention_mask=np.array(batch["padding_mask"], np.int64),
        )
        files = [str(tmp_path / name) for name in ("inputs.npz", "outputs.npz")]
        arguments = [interop_python, str(_SCRIPT), command, str(base), str(directory), *files]
        done = subprocess.run(arguments, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr
        return np.load(files[1])["logits"]

    return run


@pytest.mark.parametrize("targets", [("query", "value"), ("key", "attention_output", "output")])
def test_ours_in_peft(logits_in_peft, targets, tmp_path):
    base = toy.write_model_directory(tmp_path / "base")
    model = tuned_models.make(base, Lora(lora_targets=targets), tasks=["classification"])
    generator = np.random.default_rng(1)
    for variable in model.trainable_variables:
        variable.assign(generator.normal(0, 0.3, variable.shape).astype(np.float32))
    save_model(model, tmp_path / "lora")
    ours = model(tuned_models.batch())["label_logits"]
    theirs = logits_in_peft("forward", base, tmp_path / "lora")
    np.testing.assert_allclose(ours, theirs, atol=_TOLERANCE)


def test_peft_s_here(logits_in_peft, tmp_path):
    base = toy.write_model_directory(tmp_path / "base")
    theirs = logits_in_peft("make", base, tmp_path / "lora")
    model = load_model(tmp_path / "lora")
    assert model.tuned.method == Lora(
        lora_rank=4, lora_alpha=8.0, lora_targets=("query", "key", "intermediate")
    )
    ours = model(tuned_models.batch())["label_logits"]
    np.testing.assert_allclose(ours, theirs, atol=_TOLERANCE)
