"""ALBERT's tokenizer against the `tokenizers` library, by hand, and on bytes that are no text."""

from __future__ import annotations

import random

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.text import sentencepiece_model
from keras_bert_suite.text.sentencepiece_tokenizer import SentencePieceTokenizer
from keras_bert_suite.text.tokenizer import Tokenized, Tokenizer

PIECES = {"<pad>": 0, "<unk>": 0, "[CLS]": 0, "[SEP]": 0, "[MASK]": 0}
PIECES |= {"▁": -4, "▁hell": -3, "o": -3, "9": -4, "9,": -1, ",": -4, '"': -5, "e": -5, "▁e": -4.5}
PIECES |= {"▁[": -5, "CLS": -9, "]": -5, "l": -6, "h": -6, "MASK": -9}


def model_of(pieces, *, rules=b""):
    special = list(pieces)[:5]
    model = sentencepiece_model.assemble(
        list(pieces.items()), unknown_id=1, special=special, rules=rules, source="test"
    )
    return model.SerializeToString()


@pytest.fixture(scope="module")
def tokenizer():
    return SentencePieceTokenizer(model_of(PIECES))


@pytest.fixture(scope="module")
def trained(sentencepiece_directory):
    return Tokenizer.from_directory(sentencepiece_directory)


@pytest.fixture(scope="module")
def library(trained, tmp_path_factory):
    """Hugging Face's own steps, from the file that we write for it."""
    from tokenizers import Tokenizer as Library

    directory = tmp_path_factory.mktemp("saved")
    trained.save(directory)
    return Library.from_file(str(directory / "tokenizer.json"))


def random_texts(english, seed, pool):
    generator = random.Random(seed)
    texts = ["".join(generator.choices(pool, k=generator.randint(0, 30))) for _ in range(1500)]
    return [*texts, *english, " ".join(english), "", " ", "\n"]


def test_pieces_and_offsets_equal_the_library(trained, library, english):
    pool = "ab'`sltre   \n\t\u00a0é力1,9½.!😀\u0301ZİΣ한ﬁς“"
    texts = random_texts(english, 2, pool)
    texts += [line.replace("e", "é").replace(" ", "  ").replace("o", "ﬁ½", 1) for line in english]
    ids = trained.ragged_ids(tf.constant(texts)).to_list()
    known = ties = 0
    for text, row, result in zip(texts, ids, trained.tokenize(texts), strict=True):
        expected = library.encode(text, add_special_tokens=False)
        known += trained.unk_id not in row
        if result.ids == row == expected.ids:
            assert result.offsets == expected.offsets, ascii(text)
        else:  # the same pieces in another order ("l" + "ll") are equally probable
            ties += 1
            assert sorted(result.ids) == sorted(row) == sorted(expected.ids), ascii(text)
    assert known > 100  # or the test would compare <unk> with <unk>
    assert ties < 0.01 * len(texts)


def test_pieces_of_control_characters_equal_the_library(trained, library, english):
    pool = "ab \u200b\ufeff\x1c\x85\x00\u2028\x7f\ufffd\u00ad\u200e9,Z"
    texts = random_texts(english[:5], 3, pool)
    for text, result in zip(texts, trained.tokenize(texts), strict=True):
        assert result.ids == library.encode(text, add_special_tokens=False).ids, ascii(text)
        last = 0
        for start, end in result.offsets:
            assert last <= start < end <= len(text) or start >= last - 1
            last = start


def test_random_unicode_does_no_harm(trained, library, all_characters):
    generator = random.Random(6)
    texts = ["".join(generator.choices(all_characters, k=10)) for _ in range(400)]
    results = trained.tokenize(texts)
    ids = trained.ragged_ids(tf.constant(texts)).to_list()
    equal = 0
    for text, row, result in zip(texts, ids, results, strict=True):
        assert row == result.ids
        assert all(0 <= start <= end <= len(text) for start, end in result.offsets), ascii(text)
        equal += row == library.encode(text, add_special_tokens=False).ids
    # NFKD and "mark" follow each library's release of Unicode.
    assert equal >= 0.97 * len(texts)


def test_by_hand(tokenizer):
    tokens = list(PIECES)
    expected = ["▁hell", "o", "▁", "9", ",", "9", "▁", '"', "e", '"', "<unk>"]
    (result, empty) = tokenizer.tokenize(["  Hello\u3000 9,9 ``É''x", " \n"])
    assert result == Tokenized(
        expected,
        [tokens.index(token) for token in expected],
        # The piece that marks a word stands for the word's first character, "" for its second `.
        [(2, 6), (6, 7), (9, 10), (9, 10), (10, 11), (11, 12), (14, 15), (14, 15), (15, 16)]
        + [(17, 18), (18, 19)],
    )
    assert empty == Tokenized([], [], [])


def test_batches_have_segments(tokenizer):
    batch = tokenizer(["hello"], ["e"])
    assert batch["token_ids"].tolist() == [[2, 6, 7, 3, 13, 3]]
    assert batch["segment_ids"].tolist() == [[0, 0, 0, 0, 1, 1]]
    assert tokenizer.special_ids == (0, 1, 2, 3, 4)


def test_special_tokens_in_a_text_are_text(tokenizer):
    ids = tokenizer.ragged_ids(tf.constant(["[CLS] [MASK] <unk>"])).to_list()[0]
    assert not {tokenizer.cls_id, tokenizer.mask_id} & set(ids)


def test_which_pieces_continue_a_word(tokenizer):
    continues = dict(zip(PIECES, tokenizer.continuation, strict=True))
    assert continues["o"] and continues["CLS"]
    assert not any(continues[piece] for piece in ("▁hell", "▁", ",", "9", "[MASK]", "<unk>"))


def test_casing_and_accents():
    pieces = {**PIECES, "É": -2, "é": -2, "E": -2, "①": -2, "1": -2}
    model = model_of(pieces)
    results = []
    for lowercase in (True, False):
        for keep_accents in (True, False):
            tokenizer = SentencePieceTokenizer(
                model, lowercase=lowercase, keep_accents=keep_accents
            )
            (result,) = tokenizer.tokenize(["oÉ①"])
            results.append(result.tokens[2:])
    assert results == [["é", "①"], ["e", "1"], ["É", "①"], ["E", "1"]]


def test_bytes_that_are_not_utf8_and_nul_do_no_harm(trained, tokenizer):
    for data in (b"a\xff b", b"\xed\xa0\x80", b"\xf4\x90\x80\x80z", b"\xc3", b"'\xc3'"):
        assert trained.tokenize([data]) == trained.tokenize([data.decode("utf-8", "replace")])
    # tensorflow-text would end the text at the NUL.
    assert tokenizer.tokenize(["hello\0e"])[0].tokens == ["▁hell", "o", "<unk>", "e"]


def test_no_texts_a_scalar_and_a_new_seed(trained):
    assert trained.tokenize([]) == []
    assert trained([])["token_ids"].shape == (0, 0)
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        trained.ragged_ids(tf.constant("text"))
    expected = trained(["some text"])["token_ids"]
    tf.random.set_seed(7)
    np.testing.assert_array_equal(trained(["some text"])["token_ids"], expected)


def test_in_a_graph_as_outside(trained, english):
    expected = trained(english)
    in_data = next(iter(tf.data.Dataset.from_tensors(english).map(trained)))
    for name, value in expected.items():
        np.testing.assert_array_equal(value, in_data[name])


def test_detokenize(tokenizer):
    batch = tokenizer(["Hello  9,9 e", ""])
    assert tokenizer.detokenize(batch["token_ids"]) == ["hello 9,9 e", ""]
