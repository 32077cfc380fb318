"""The README's programs for `model.fit` run as they stand there."""

import re

import keras
import numpy as np
import pytest
import toy_classification as toy
import toy_labeling

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.training.prediction import Predictor, evaluate_file


@pytest.fixture
def programs(repository, tmp_path, monkeypatch):
    """(that of texts, that of any task), beside a pretrained model that they can begin with."""
    readme = (repository / "README.md").read_text(encoding="utf-8")
    found = [
        block for block in re.findall(r"```python\n(.*?)```", readme, re.S) if ".fit(" in block
    ]
    for program in found:
        assert len([line for line in program.splitlines() if line]) <= 15
    monkeypatch.chdir(tmp_path)
    keras.utils.set_random_seed(1)
    pretrained = BertModel(Encoder(toy.encoder_config()), [])
    save_model(pretrained, "pretrained", tokenizer=toy.tokenizer())
    return [p.replace("3e-5", "3e-3").replace("epochs=3", "epochs=8, verbose=0") for p in found]


def test_the_program_for_texts_learns_and_saves(programs):
    names = {"texts": ["a text", "another text, longer"] * 40, "label_ids": [0, 1] * 40}
    exec(programs[0], names)
    model = names["model"]
    losses = model.history.history["loss"]
    assert losses[-1] < losses[0] / 2
    batch = names["tokenizer"](["a text"])
    np.testing.assert_array_equal(
        load_model("answers")(batch)["label_logits"], model(batch)["label_logits"]
    )


@pytest.mark.slow
def test_the_program_for_any_task_learns_and_is_evaluated(programs, tmp_path):
    toy_labeling.write_columns(tmp_path / "train.conll", toy_labeling.sentences(96))
    names = {}
    exec(programs[1], names)
    losses = names["model"].history.history["loss"]
    assert losses[-1] < losses[0] / 2
    scores = evaluate_file(Predictor.load("names"), tmp_path / "train.conll").metrics
    assert scores["f1"] > 0.5
