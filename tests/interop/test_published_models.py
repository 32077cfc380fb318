"""Directories that transformers wrote answer, name their task and export without a word from us."""

from __future__ import annotations

import json

import numpy as np
import pytest
import toy_classification as toy

from keras_bert_suite.serving import saved_model
from keras_bert_suite.training.prediction import Predictor

pytestmark = pytest.mark.interop

_TAGS = ["O", "B-PER", "I-PER", "B-LOC", "I-LOC"]
_KINDS = ["animal", "food", "tool"]
# Class and more of the config -> task
_CASES = {
    "ner": ("BertForTokenClassification", {"id2label": _TAGS}, "labeling"),
    "topics": ("BertForSequenceClassification", {"id2label": _KINDS}, "classification"),
    "several": (
        "DistilBertForSequenceClassification",
        {"id2label": _KINDS, "problem_type": "multi_label_classification"},
        "multilabel",
    ),
    "number": ("BertForSequenceClassification", {"id2label": ["LABEL_0"]}, "regression"),
    "qa": ("BertForQuestionAnswering", {}, "qa"),
    "masked": ("BertForMaskedLM", {}, "fill_mask"),
    "choice": ("BertForMultipleChoice", {}, "multiple_choice"),
}
_TEXTS = [text for text, _ in toy.texts(6)]


@pytest.fixture(scope="module")
def published(transformers_run, tmp_path_factory):
    """Name of the case -> directory with random weights and a tokenizer's files."""
    root, cases, found = tmp_path_factory.mktemp("published"), [], {}
    for name, (cls, more, _) in _CASES.items():
        sizes = {"num_hidden_layers": 2, "num_attention_heads": 2, "hidden_size": 32}
        if cls.startswith("Distil"):
            sizes = {"n_layers": 2, "n_heads": 2, "dim": 32, "hidden_dim": 64}
        config = {
            "model_type": "distilbert" if cls.startswith("Distil") else "bert",
            "vocab_size": len(toy.VOCABULARY),
            "intermediate_size": 64,
            "max_position_embeddings": 32,
            **sizes,
            **more,
        }
        if "id2label" in more:
            config["id2label"] = dict(enumerate(more["id2label"]))
            config["label2id"] = {label: i for i, label in enumerate(more["id2label"])}
        file, found[name] = root / f"{name}.json", root / name
        file.write_text(json.dumps(config))
        directory = str(found[name])
        cases.append({"directory": directory, "class_name": cls, "config_path": str(file)})
    (root / "cases.json").write_text(json.dumps(cases))
    transformers_run("make_all", root / "cases.json")
    for directory in found.values():
        assert "keras_bert_suite" not in json.loads((directory / "config.json").read_text())
        toy.tokenizer().save(directory)
    return found


def _logits(transformers_run, directory, cls, folder):
    batch = toy.tokenizer()(_TEXTS)
    np.savez(
        folder / "inputs.npz",
        input_ids=batch["token_ids"].astype(np.int64),
        token_type_ids=batch["segment_ids"].astype(np.int64),
        attention_mask=batch["padding_mask"].astype(np.int64),
    )
    transformers_run("forward", directory, cls, folder / "inputs.npz", folder / "outputs.npz")
    return np.load(folder / "outputs.npz")["logits"]


def _answers(directory):
    predictor = Predictor.load(directory)
    return predictor.predict([predictor.task.example({"text": text}) for text in _TEXTS])


@pytest.mark.parametrize("name", _CASES)
def test_the_task_is_known_and_the_export_is_right(published, name, tmp_path):
    assert Predictor.load(published[name]).task.name == _CASES[name][2]
    result = saved_model.export_model(published[name], tmp_path / "out")
    assert result.difference <= 1e-5
    task = json.loads((result.path / "serving.json").read_text())["task"]
    # A pre-trained model serves its vectors and masked_lm unless a task is asked for.
    assert (task and task["name"]) == (None if name == "masked" else _CASES[name][2])


@pytest.mark.parametrize("name", ["topics", "several", "number"])
def test_scores_of_texts(published, transformers_run, name, tmp_path):
    logits = _logits(transformers_run, published[name], _CASES[name][0], tmp_path)
    answers = _answers(published[name])
    if name == "number":
        assert [one["value"] for one in answers] == pytest.approx(logits[:, 0], abs=1e-4)
        return
    powers = np.exp(logits)
    shares = powers / powers.sum(-1, keepdims=True) if name == "topics" else powers / (1 + powers)
    for one, row in zip(answers, shares, strict=True):
        assert one["scores"] == pytest.approx(dict(zip(_KINDS, row, strict=True)), abs=1e-5)


def test_tags_of_words(published, transformers_run, tmp_path):
    logits = _logits(transformers_run, published["ner"], _CASES["ner"][0], tmp_path)
    for text, one, row in zip(_TEXTS, _answers(published["ner"]), logits, strict=True):
        words = text.split()
        best = row[1 : len(words) + 1].argmax(-1)  # each word is one piece, behind [CLS]
        assert one["words"] == words
        assert one["tags"] == [_TAGS[i] for i in best]
