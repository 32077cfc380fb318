"""What bin/edit_model.py writes opens in transformers, heads and tokenizer included."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_bert_suite.checkpoints.model_directory import load_model, load_tokenizer, save_model
from keras_bert_suite.checkpoints.model_editing import Edits, edit_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.text.tokenizer import Tokenizer

pytestmark = pytest.mark.interop

_VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] co ##vid ##s the cat saw v".split()
_TEXTS = ["the covid cat", "covids saw the stent", "cat " * 20]
_PAIRS = ["saw", "the cats", "covid"]


@pytest.fixture(scope="module")
def edited(tmp_path_factory):
    folder = tmp_path_factory.mktemp("edited")
    config = EncoderConfig(
        vocab_size=len(_VOCABULARY),
        hidden_size=16,
        num_layers=3,
        num_heads=4,
        intermediate_size=32,
        max_positions=12,
    )
    heads = [MaskedLMHead.for_encoder(config), NextSentenceHead.for_encoder(config)]
    model = BertModel(Encoder(config), heads)
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.normal(0, 0.3, weight.shape).astype(np.float32))
    save_model(model, folder / "in", tokenizer=Tokenizer(_VOCABULARY))
    edits = Edits(
        words={"covid": (), "stent": ("cat", "saw")},
        max_positions=24,
        positions="interpolate",
        num_layers=2,
        dtype="bfloat16",
    )
    edit_model(folder / "in", folder / "out", edits)
    return folder / "out"


def test_the_same_ids(edited, transformers_run, tmp_path):
    (tmp_path / "texts.json").write_text(json.dumps([_TEXTS, _PAIRS]))
    transformers_run("tokenize", edited, tmp_path / "texts.json", tmp_path / "ids.json")
    answer = json.loads((tmp_path / "ids.json").read_text())
    batch = load_tokenizer(edited)(_TEXTS, _PAIRS, max_length=24)
    for ids, ours, real in zip(
        answer["input_ids"], batch["token_ids"], batch["padding_mask"], strict=True
    ):
        assert ids == ours[: real.sum()].tolist()


def test_the_same_numbers(edited, transformers_run, tmp_path):
    batch = load_tokenizer(edited)(_TEXTS, _PAIRS, max_length=24)
    assert batch["token_ids"].shape == (3, 24)
    np.savez(
        tmp_path / "inputs.npz",
        input_ids=batch["token_ids"].astype(np.int64),
        token_type_ids=batch["segment_ids"].astype(np.int64),
        attention_mask=batch["padding_mask"].astype(np.int64),
    )
    report = json.loads(
        transformers_run(
            "forward", edited, "BertForPreTraining", tmp_path / "inputs.npz", tmp_path / "out.npz"
        )
    )
    assert not report["missing_keys"] and not report["unexpected_keys"]
    theirs = np.load(tmp_path / "out.npz")
    ours = load_model(edited)(batch)
    np.testing.assert_allclose(ours["nsp_logits"], theirs["seq_relationship_logits"], atol=1e-4)
    real = batch["padding_mask"][..., None]
    np.testing.assert_allclose(
        ours["mlm_logits"] * real, theirs["prediction_logits"] * real, atol=1e-4
    )
