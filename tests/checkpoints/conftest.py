"""Models small enough to write down, for the tests of checkpoints."""

from __future__ import annotations

import json
import types

import numpy as np
import pytest
from safetensors.numpy import save_file

from keras_bert_suite.checkpoints.model_directory import read_config
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.classification import ClassificationHead
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.multiple_choice import MultipleChoiceHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.replaced_token import ReplacedTokenHead
from keras_bert_suite.models.heads.sentence_order import SentenceOrderHead
from keras_bert_suite.models.heads.span_boundary import SpanBoundaryHead
from keras_bert_suite.models.heads.span_question import SpanQuestionHead
from keras_bert_suite.models.heads.token_labeling import TokenLabelingHead

CONFIG = EncoderConfig(
    vocab_size=11,
    hidden_size=4,
    num_layers=1,
    num_heads=2,
    intermediate_size=6,
    max_positions=8,
)
LABELS = ["no", "yes", "perhaps"]
_HEADS = (
    MaskedLMHead,
    NextSentenceHead,
    SentenceOrderHead,
    SpanBoundaryHead,
    ReplacedTokenHead,
    SpanQuestionHead,
    MultipleChoiceHead,
)
_LABELLED = (ClassificationHead, TokenLabelingHead)


def make_head(kind, *, config=CONFIG, labels=LABELS, dtype=None):
    """Returns a fresh head for the tiny encoder."""
    for head in _LABELLED:
        if head.kind == kind:
            return head.for_encoder(config, labels=labels, dtype=dtype)
    (head,) = [head for head in _HEADS if head.kind == kind]
    return head.for_encoder(config, dtype=dtype)


def make_model(*kinds, config=CONFIG, dtype=None, seed=0):
    """Returns a model in which every value of every weight is another number."""
    heads = [make_head(kind, config=config, dtype=dtype) for kind in kinds]
    model = BertModel(Encoder(config, dtype=dtype), heads, dtype=dtype)
    generator = np.random.default_rng(seed)
    for weight in model.weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return model


def weight_values(model):
    """Returns {path without the model's name: the bytes}, to compare models bit by bit."""
    return {w.path.split("/", 1)[-1]: np.asarray(w.value).tobytes() for w in model.weights}


def batch():
    """Two rows, the second padded; two segments."""
    return {
        "token_ids": np.array([[2, 7, 3, 9, 3], [2, 8, 3, 0, 0]], np.int32),
        "segment_ids": np.array([[0, 0, 0, 1, 1], [0, 0, 1, 0, 0]], np.int32),
        "padding_mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32),
    }


def edit_config(directory, **changes):
    """Changes keys of config.json; None removes one."""
    values = {**read_config(directory), **changes}
    kept = {key: value for key, value in values.items() if value is not None}
    (directory / "config.json").write_text(json.dumps(kept), encoding="utf-8")


def edit_tensors(directory, edit):
    """Lets `edit` change the dict of all tensors of model.safetensors, as another program would."""
    with SafetensorsFile(directory / "model.safetensors") as file:
        tensors = {name: file.read(name).copy() for name in file.names}
    edit(tensors)
    save_file(tensors, directory / "model.safetensors")


@pytest.fixture(scope="session")
def tiny():
    """What this file defines: CONFIG, LABELS, make_head, make_model, weight_values, batch, ..."""
    names = (make_head, make_model, weight_values, batch, edit_config, edit_tensors)
    functions = {function.__name__: function for function in names}
    return types.SimpleNamespace(CONFIG=CONFIG, LABELS=LABELS, **functions)
