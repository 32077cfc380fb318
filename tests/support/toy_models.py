"""A small model directory for each task, to export."""

from __future__ import annotations

import json

import keras
import toy_classification as toy
import toy_labeling
import toy_questions
import toy_spans

import keras_bert_suite as kbs
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task

_LENGTH = 24
# What a training file decides; the other tasks are served from any model with a masked-LM head.
_FITTED = "classification labeling multilabel multiple_choice qa regression span".split()
_OPTIONS = {
    "cloze": {"pattern": "{text} and the [MASK]", "verbalizer": ["animal=cat", "food=bread|cake"]}
}
NAMES = [*Task.alternatives(), "no task"]


def _training_file(name, folder):
    if name == "labeling":
        return toy_labeling.write_columns(folder / "train.conll", toy_labeling.sentences(12))
    if name == "qa":
        return toy_questions.write_squad(folder / "train.json", toy_questions.questions(12))
    if name == "span":
        return toy_spans.write_lines(folder / "train.jsonl", toy_spans.texts(12))
    rows = []
    for index, (text, label) in enumerate(toy.texts(12)):
        row = {
            "regression": {"label": float(index % 3)},
            "multilabel": {"labels": [label, "living"]},
            "multiple_choice": {"choices": ["cat", "rice", "saw"], "label": index % 3},
            "classification": {"label": label},
        }[name]
        rows.append(json.dumps({"text": text, **row}))
    (folder / "train.jsonl").write_text("\n".join(rows))
    return folder / "train.jsonl"


def write_model(name, folder):
    """A model directory with random weights, large enough for the answers to differ."""
    keras.utils.set_random_seed(5)
    config = toy.encoder_config()
    extra = {"sequence_length": _LENGTH}
    if name in _FITTED:
        path = _training_file(name, folder)
        task, _ = Task.named(name)().fit(path, bad_rows=BadRows())
        heads, extra["task"] = [task.head(config)], task.to_config()
    else:
        heads = [MaskedLMHead.for_encoder(config)]
    model = kbs.BertModel(kbs.Encoder(config), heads)
    kbs.save_model(model, folder / "model", tokenizer=toy.tokenizer(), extra=extra)
    return folder / "model"


def export_options(name):
    """What to tell the export of such a model."""
    return {
        "task": None if name in (*_FITTED, "no task") else name,
        "options": _OPTIONS.get(name),
    }
