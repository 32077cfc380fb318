"""Byte-level BPE against the `tokenizers` library, by hand, and on bytes that are no text."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.text.byte_pair_model import CHARACTERS
from keras_bert_suite.text.byte_pair_tokenizer import BytePairTokenizer
from keras_bert_suite.text.tokenizer import Tokenized, Tokenizer

SPECIAL = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
VOCABULARY = [*SPECIAL, *(chr(code) for code in CHARACTERS), "he", "Ġhe", "ll", "ĠĠ", "Ã©"]
MERGES = [("h", "e"), ("Ġ", "he"), ("l", "l"), ("Ġ", "Ġ"), ("Ã", "©")]


@pytest.fixture(scope="module")
def tokenizer():
    return BytePairTokenizer(VOCABULARY, MERGES)


@pytest.fixture(scope="module")
def trained(byte_pair_directory):
    return Tokenizer.from_directory(byte_pair_directory)


def library_of(directory, *, add_prefix_space=False):
    from tokenizers import Tokenizer as Library
    from tokenizers import models, pre_tokenizers, processors

    files = (str(directory / "vocab.json"), str(directory / "merges.txt"))
    library = Library(models.BPE.from_file(*files))
    library.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=add_prefix_space)
    library.post_processor = processors.RobertaProcessing(
        ("</s>", 2), ("<s>", 0), trim_offsets=True, add_prefix_space=add_prefix_space
    )
    return library


def random_texts(all_characters, english, seed):
    generator = random.Random(seed)
    pool = "ab'sltredvm  \n\t\u00a0é力1²½.,!😀\u0301\u200b\ufeffZ\x1c\x85\x00"
    texts = ["".join(generator.choices(pool, k=generator.randint(0, 30))) for _ in range(1500)]
    texts += ["".join(generator.choices(all_characters, k=10)) for _ in range(300)]
    return [*texts, *english, " ".join(english), "", " ", "\n"]


def test_pieces_and_offsets_equal_the_library(
    trained, byte_pair_directory, all_characters, english
):
    texts = random_texts(all_characters, english, 1)
    library = library_of(byte_pair_directory)
    ids = trained.ragged_ids(tf.constant(texts)).to_list()
    for text, row, result in zip(texts, ids, trained.tokenize(texts), strict=True):
        expected = library.encode(text, add_special_tokens=False)
        assert result.ids == row == expected.ids, ascii(text)
        assert result.tokens == expected.tokens
        assert result.offsets == expected.offsets, ascii(text)
    assert trained.detokenize(ids) == texts


def test_a_space_before_the_text(byte_pair_directory, english):
    trained = BytePairTokenizer(**read_arguments(byte_pair_directory), add_prefix_space=True)
    library = library_of(byte_pair_directory, add_prefix_space=True)
    texts = [*english, "", "a", "é x", "\na"]
    for text, result in zip(texts, trained.tokenize(texts), strict=True):
        expected = library.encode(text, add_special_tokens=False)
        assert result.ids == expected.ids, ascii(text)
        # The library takes the text's own first space for the one that it did not add.
        assert text.startswith(" ") or result.offsets == expected.offsets, ascii(text)
    assert trained.tokenize([" a"])[0].offsets == [(1, 2)]


def read_arguments(directory):
    vocabulary = json.loads((directory / "vocab.json").read_text())
    lines = (directory / "merges.txt").read_text().split("\n")[1:-1]
    return {"vocabulary": list(vocabulary), "merges": [tuple(line.split(" ")) for line in lines]}


def test_batches_equal_the_library(trained, byte_pair_directory, english):
    library = library_of(byte_pair_directory)
    texts, pairs = english[:20], english[20:40]
    for batch, expected in (
        (trained(texts), library.encode_batch(texts)),
        (trained(texts, pairs), library.encode_batch(list(zip(texts, pairs, strict=True)))),
    ):
        for row, encoding in enumerate(expected):
            size = len(encoding.ids)
            assert batch["token_ids"][row, :size].tolist() == encoding.ids
            assert (batch["token_ids"][row, size:] == trained.pad_id).all()
            assert batch["padding_mask"][row].sum() == size
        assert not batch["segment_ids"].any()


def test_by_hand(tokenizer):
    ids = {token: i for i, token in enumerate(VOCABULARY)}
    tokens = ["he", "ll", "o", "ĠĠ", "Ġhe", "Ã©", "ð", "Ł", "ĺ", "Ģ"]
    assert tokenizer.tokenize(["hello   heé😀", ""]) == [
        Tokenized(
            tokens,
            [ids[token] for token in tokens],
            # Spaces are left out; a byte stands for its whole character.
            [(0, 2), (2, 4), (4, 5), (7, 7), (8, 10), (10, 11), *[(11, 12)] * 4],
        ),
        Tokenized([], [], []),
    ]
    assert tokenizer.special_ids == (1, 3, 0, 2, 4)
    assert (tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id) == (0, 2, 1)
    assert not tokenizer.lowercase


def test_whole_words_are_pieces_from_space_to_space(tokenizer):
    continues = dict(zip(VOCABULARY, tokenizer.continuation, strict=True))
    assert continues["he"] and continues["."]
    assert not continues["Ġhe"] and not continues["Ċ"] and not continues["<mask>"]


def test_special_tokens_in_a_text_are_text(trained):
    batch = trained(["<mask></s> <pad>"])["token_ids"][0]
    assert set(batch[1:-1]).isdisjoint(trained.special_ids)


def test_bytes_that_are_not_utf8_count_as_replacement_characters(trained):
    for data in (b"a\xff b", b"\xed\xa0\x80", b"\xf4\x90\x80\x80z", b"\xc3", "x\ud83dy"):
        text = data.decode("utf-8", "replace") if isinstance(data, bytes) else "x\ufffdy"
        assert trained.tokenize([data]) == trained.tokenize([text])
        assert trained(["ab", data])["token_ids"].shape[0] == 2


def test_a_word_without_end_takes_no_time_without_end(trained):
    word = "ab" * 100_000
    ids = trained.ragged_ids(tf.constant([word]))
    assert trained.detokenize(ids) == [word]


def test_no_texts_and_a_scalar(trained):
    assert trained.tokenize([]) == []
    assert {name: value.shape for name, value in trained([]).items()} == {
        name: (0, 0) for name in ("token_ids", "segment_ids", "padding_mask")
    }
    assert trained.ragged_ids(tf.constant([], tf.string)).shape[0] == 0
    with pytest.raises(ValueError, match="must be a list of texts"):
        trained("text")
    with pytest.raises((ValueError, tf.errors.InvalidArgumentError)):
        trained.ragged_ids(tf.constant("text"))


def test_survives_a_new_seed(trained, english):
    """tensorflow-text's own SentencePiece resource does not: it lives in a cache of TensorFlow."""
    expected = trained(english)["token_ids"]
    tf.random.set_seed(7)
    np.testing.assert_array_equal(trained(english)["token_ids"], expected)


def test_in_a_graph_as_outside(trained, english):
    expected = trained(english)
    in_data = next(iter(tf.data.Dataset.from_tensors(english).map(trained)))
    for name, value in expected.items():
        np.testing.assert_array_equal(value, in_data[name])


def test_bytes_that_the_vocabulary_lacks_are_left_out_as_by_the_library(tmp_path):
    """Also where they stand between others, and in the offsets."""
    vocabulary = [token for token in VOCABULARY if token not in ("x", "©", "Ã©")]
    tokenizer = BytePairTokenizer(vocabulary, MERGES[:4])
    tokenizer.save(tmp_path)
    library = library_of(tmp_path)
    texts = ["hex he", "x", "é", "axé b", ""]
    ids = tokenizer.ragged_ids(tf.constant(texts)).to_list()
    for text, row, result in zip(texts, ids, tokenizer.tokenize(texts), strict=True):
        expected = library.encode(text, add_special_tokens=False)
        assert row == result.ids == expected.ids
        if "é" not in text:
            assert result.offsets == expected.offsets, text


def test_detokenize(tokenizer):
    ids = tokenizer(["he é <mask>", "a"])["token_ids"]
    assert tokenizer.detokenize(ids) == ["he é <mask>", "a"]
    assert tokenizer.detokenize([[4, VOCABULARY.index("Ã")]]) == ["<mask>\ufffd"]


def test_a_vocabulary_must_be_whole():
    with pytest.raises(ValueError, match="Got twice: 'he'"):
        BytePairTokenizer([*VOCABULARY, "he"], MERGES)
    with pytest.raises(ValueError, match="special tokens <pad> .* has no <mask>. If it is"):
        BytePairTokenizer([t for t in VOCABULARY if t != "<mask>"], MERGES)
    with pytest.raises(ValueError, match="result of a merge must be in the vocabulary"):
        BytePairTokenizer(VOCABULARY, [("h", "h")])
