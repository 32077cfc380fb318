"""Pseudo-log-likelihoods against the model asked token by token, and the file they come in."""

import json
import math

import numpy as np
import pytest
import tiny_corpus

from keras_bert_suite.checkpoints.model_directory import save_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.training import pseudo_likelihood

TEXTS = ["w1 w2 w3", "w7", "w50 w51 w4 w4 w9 w30 w31"]


def encoder():
    return Encoder(
        EncoderConfig(
            vocab_size=len(tiny_corpus.VOCABULARY),
            hidden_size=8,
            num_layers=1,
            num_heads=2,
            intermediate_size=16,
            max_positions=10,
            initializer_range=0.5,
        )
    )


@pytest.fixture(scope="module")
def model():
    own = encoder()
    return BertModel(own, [MaskedLMHead.for_encoder(own.config)])


@pytest.fixture(scope="module")
def model_dir(model, tmp_path_factory):
    directory = tmp_path_factory.mktemp("model")
    save_model(model, directory, tokenizer=tiny_corpus.make_tokenizer())
    return directory


def one_by_one(model, text):
    """ln p of every token with it alone masked, all positions projected."""
    tokenizer = tiny_corpus.make_tokenizer()
    rows = tokenizer([text])
    total = 0.0
    for place in range(1, rows["token_ids"].shape[1] - 1):
        masked = rows["token_ids"].copy()
        target, masked[0, place] = masked[0, place], tokenizer.mask_id
        logits = model({**rows, "token_ids": masked})["mlm_logits"].numpy()[0, place]
        total += logits[target] - np.log(np.exp(logits.astype(np.float64)).sum())
    return total


def test_sums_over_the_tokens_masked_in_turn(model):
    scores = [
        *pseudo_likelihood.pseudo_log_likelihoods(
            model, tiny_corpus.make_tokenizer(), TEXTS, sequence_length=10, batch_size=4
        )
    ]
    assert [(s.num_tokens, s.truncated) for s in scores] == [(3, False), (1, False), (7, False)]
    expected = [one_by_one(model, text) for text in TEXTS]
    np.testing.assert_allclose(
        [s.pseudo_log_likelihood for s in scores], expected, rtol=1e-5, atol=1e-5
    )


def test_a_file_of_texts(model, model_dir, tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n\n".join(TEXTS) + "\nw1 w2 w3 w4 w5 w6 w7 w8 w9\n")  # 9 + 2 tokens: cut
    metrics = pseudo_likelihood.evaluate_text_file(model_dir, str(path), tmp_path / "scores")
    total = sum(one_by_one(model, text) for text in [*TEXTS, "w1 w2 w3 w4 w5 w6 w7 w8"])
    assert metrics["pseudo_perplexity"] == pytest.approx(math.exp(-total / 19), rel=1e-4)
    counts = {k: v for k, v in metrics.items() if k.startswith("num_")}
    assert counts == {"num_texts": 4, "num_tokens": 19, "num_truncated": 1}
    assert json.loads((tmp_path / "scores" / "metrics.json").read_text()) == metrics
    lines = (tmp_path / "scores" / "predictions.jsonl").read_text().splitlines()
    assert json.loads(lines[1])["text"] == "w7" and json.loads(lines[1])["num_tokens"] == 1
    assert "over 19 tokens of 4 texts, 1 of them cut" in pseudo_likelihood.report(metrics)


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"\n  \n", "must hold texts, one a line"), (b"\xff\xfe", "must be text in UTF-8")],
)
def test_a_file_that_is_no_text(model_dir, tmp_path, content, message):
    path = tmp_path / "texts.txt"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message):
        pseudo_likelihood.evaluate_text_file(model_dir, str(path), tmp_path / "scores")


def test_a_model_without_a_masked_word_head(tmp_path):
    save_model(encoder(), tmp_path / "model", tokenizer=tiny_corpus.make_tokenizer())
    (tmp_path / "texts.txt").write_text("w1\n")
    assert pseudo_likelihood.is_untuned(tmp_path / "model")
    with pytest.raises(ValueError, match="holds no masked-word head to score a text with"):
        pseudo_likelihood.evaluate_text_file(
            tmp_path / "model", str(tmp_path / "texts.txt"), tmp_path / "scores"
        )
