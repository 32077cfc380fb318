"""More words and another vocabulary, rows by hand on a tiny table."""

from __future__ import annotations

import numpy as np
import pytest

from keras_bert_suite.checkpoints.surgery import weight_value
from keras_bert_suite.checkpoints.vocabulary_surgery import add_words, swap_vocabulary
from keras_bert_suite.text.tokenizer import Tokenizer

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_VOCABULARY = [*_SPECIAL, "co", "##vid", "##s", "the", "cat", "v"]
_TEXTS = ["the cat", "cats co the", "cat"]


@pytest.fixture
def tokenizer():
    return Tokenizer(_VOCABULARY)


def _model(tiny, *kinds):
    """Row i of the token table is [i, i, i, i]; the MLM bias of word i is 100 + i."""
    model = tiny.make_model(*kinds)
    rows = np.arange(11, dtype=np.float32)
    _table(model).assign(np.repeat(rows[:, None], 4, 1))
    if "mlm" in kinds:
        model.heads["mlm"].bias.assign(100 + rows)
    return model


def _table(model):
    return model.encoder.embeddings.token_embeddings.embeddings


def _rows(model):
    table = weight_value(_table(model))
    assert (table == table[:, :1]).all()
    return table[:, 0].tolist()


def test_rows_of_added_words(tiny, tokenizer):
    words = {"covid": (), "stent": (), "dog": ("cat", "the"), "vat": ("covids",)}
    model, grown = add_words(_model(tiny, "mlm"), tokenizer, words)
    # covid: its pieces 5 and 6; stent: cannot be spelt, so all, 0..10; dog: cat 9 and the 8;
    # vat: the pieces of covids, 5, 6 and 7
    assert _rows(model) == [*range(11), 5.5, 5, 8.5, 6]
    assert weight_value(model.heads["mlm"].bias)[11:].tolist() == [105.5, 105, 108.5, 106]
    assert model.encoder.config.vocab_size == grown.vocab_size == 15
    model, _ = add_words(_model(tiny), tokenizer, {"covid": ()}, new_rows="mean")
    assert _rows(model)[11:] == [5]


def test_an_added_word_is_found_first(tokenizer, tiny):
    _, grown = add_words(_model(tiny), tokenizer, {"covid": ()})
    found = grown.tokenize(["Covid cats", "covids"])
    assert [row.tokens for row in found] == [["covid", "cat", "##s"], ["covid", "##s"]]
    assert tokenizer.tokenize(["covid"])[0].tokens == ["co", "##vid"]


def test_texts_without_the_words_keep_their_answers_to_the_bit(tiny, tokenizer):
    model = tiny.make_model("mlm", "nsp", "classification")
    larger, grown = add_words(model, tokenizer, {"covid": (), "stent": ()})
    before, after = tokenizer(_TEXTS), grown(_TEXTS)
    for name in before:
        np.testing.assert_array_equal(after[name], before[name])
    old, new = model(before), larger(after)
    np.testing.assert_array_equal(new["label_logits"], old["label_logits"])
    np.testing.assert_array_equal(new["nsp_logits"], old["nsp_logits"])
    # the same products, but of another matrix size: a kernel may add them in another order
    np.testing.assert_allclose(new["mlm_logits"][..., :11], old["mlm_logits"], rtol=1e-6)


@pytest.mark.parametrize(
    "word, message",
    [
        ("", "must not be empty"),
        ("the dog", "no white space in it. Received: 'the dog'"),
        ("a\u00a0b", "no white space"),
        ("cat", "The vocabulary has 'cat' already"),
        ("[MASK]", r"The vocabulary has '\[MASK\]' already"),
        ("Covid", "'Covid', which is read as co ##vid. Write it 'covid'"),
        ("covid-19", "one word to the tokenizer: without punctuation.*'covid-19'"),
        ("##vids", "one word to the tokenizer"),
    ],
)
def test_words_that_cannot_be_added(tiny, tokenizer, word, message):
    with pytest.raises(ValueError, match=message):
        add_words(_model(tiny), tokenizer, {word: ()})


def test_no_words(tiny, tokenizer):
    with pytest.raises(ValueError, match="at least one word to add. Received: none"):
        add_words(_model(tiny), tokenizer, {})


def test_a_source_that_cannot_be_spelt(tiny, tokenizer):
    with pytest.raises(ValueError, match="row of the new word 'dog' must.*Received: 'hound'"):
        add_words(_model(tiny), tokenizer, {"dog": ("cat", "hound")})


def test_an_unknown_method(tiny, tokenizer):
    with pytest.raises(ValueError, match="one of pieces, mean. Received: 'zeros'"):
        swap_vocabulary(_model(tiny), tokenizer, _VOCABULARY, new_rows="zeros")


def test_the_same_vocabulary_changes_nothing(tiny, tokenizer):
    model = tiny.make_model("mlm", "nsp")
    swapped, same = swap_vocabulary(model, tokenizer, _VOCABULARY)
    assert tiny.weight_values(swapped) == tiny.weight_values(model)
    assert same.vocabulary == tokenizer.vocabulary
    assert swapped.encoder.config == model.encoder.config


def test_another_vocabulary(tiny, tokenizer):
    vocabulary = ["the", "[UNK]", "[PAD]", "[SEP]", "[CLS]", "[MASK]", "covid", "##vids", "dog"]
    model, swapped = swap_vocabulary(_model(tiny, "mlm"), tokenizer, vocabulary)
    # covid: 5 and 6; ##vids: ##vid and ##s, 6 and 7; dog: all
    assert _rows(model) == [8, 1, 0, 3, 2, 4, 5.5, 6.5, 5]
    assert weight_value(model.heads["mlm"].bias).tolist()[:3] == [108, 101, 100]
    assert model.encoder.config.pad_token_id == swapped.pad_id == 2
    assert (swapped.lowercase, swapped.vocab_size) == (True, 9)


def test_rows_that_pad_the_table(tiny, tokenizer):
    """They stay while the number of words does, and give way to added ones."""
    short = Tokenizer(_VOCABULARY[:-2])
    model, _ = swap_vocabulary(_model(tiny), short, short.vocabulary)
    assert _rows(model) == [*range(11)]
    model, _ = add_words(_model(tiny), short, {"dog": ("co",)})
    assert _rows(model) == [*range(9), 5]
    model, _ = add_words(_model(tiny), short, {"dog": ()})
    assert _rows(model)[9:] == [4]  # the mean is that of the words, 0..8


def test_a_tokenizer_of_another_kind(tiny):
    class Merges:
        vocabulary, vocab_size = ("a",), 1

    for edit in (lambda *a: add_words(*a, {"dog": ()}), lambda *a: swap_vocabulary(*a, ["b"])):
        with pytest.raises(ValueError, match="Only the vocabulary of WordPiece.*a Merges"):
            edit(_model(tiny), Merges())
