"""A LoRA directory opens in PEFT beside its base with the same logits, and the reverse."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import numpy as np
import pytest
import toy_classification as toy
import tuned_models

from keras_bert_suite.checkpoints.adapter_set import AdapterSet
from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.serving import saved_model
from keras_bert_suite.serving.server.servable import Servable
from keras_bert_suite.training.prediction import Predictor
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


def test_peft_s_directory_answers_and_exports_with_the_base_s_tokenizer(logits_in_peft, tmp_path):
    """PEFT writes no tokenizer; its base is then moved, as if it had been a hub's name."""
    base = toy.write_model_directory(tmp_path / "base")
    theirs = logits_in_peft("make", base, tmp_path / "lora")
    assert {"adapter_config.json", "adapter_model.safetensors"} <= set(
        os.listdir(tmp_path / "lora")
    )
    assert not (tmp_path / "lora" / "vocab.txt").exists()
    scores = np.exp(theirs) / np.exp(theirs).sum(-1, keepdims=True)
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match="Nothing is downloaded: get the base, and say by --base_"):
        Predictor.load(tmp_path / "lora")
    predictor = Predictor.load(tmp_path / "lora", base_dir=moved)
    texts = [text for text, _ in toy.texts(16)]
    found = predictor.predict([predictor.task.example({"text": text}) for text in texts])
    for one, row in zip(found, scores, strict=True):
        wanted = {f"LABEL_{i}": score for i, score in enumerate(row)}
        assert one["scores"] == pytest.approx(wanted, abs=1e-4)
    for merge in (True, False):
        options = {"base_dir": moved, "merge": merge}
        exported = saved_model.export_model(tmp_path / "lora", tmp_path / "out", **options)
        servable = Servable(exported.path, name="x", version=1)
        signature = servable.signatures["serving_default"]
        inputs = {"text": np.array([text.encode() for text in texts], object)}
        served = servable.run(signature, inputs, ["scores"])["scores"]
        np.testing.assert_allclose(served, scores, atol=_TOLERANCE)
    adapters = AdapterSet(moved)
    adapters.add("theirs", tmp_path / "lora")
    together = adapters(tuned_models.batch(), adapter="theirs")["label_logits"]
    np.testing.assert_allclose(together, theirs, atol=_TOLERANCE)
