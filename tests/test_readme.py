"""The README's program for `model.fit` runs as it stands there."""

import re

import keras
import numpy as np
import toy_classification as toy

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder


def test_the_program_for_fit_learns_and_saves(repository, tmp_path, monkeypatch):
    readme = (repository / "README.md").read_text(encoding="utf-8")
    (program,) = [
        block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if ".fit(" in block
    ]
    assert len([line for line in program.splitlines() if line]) <= 15
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(1)
    pretrained = BertModel(Encoder(toy.encoder_config()), [])
    save_model(pretrained, "pretrained", tokenizer=toy.tokenizer())
    names = {"texts": ["a text", "another text, longer"] * 40, "label_ids": [0, 1] * 40}
    exec(program.replace("3e-5", "3e-3").replace("epochs=3", "epochs=8, verbose=0"), names)
    model = names["model"]
    losses = model.history.history["loss"]
    assert losses[-1] < losses[0] / 2
    batch = names["tokenizer"](["a text"])
    np.testing.assert_array_equal(
        load_model("answers")(batch)["label_logits"], model(batch)["label_logits"]
    )
