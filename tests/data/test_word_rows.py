"""Rows of sentences that come in words: every word has a first piece, and counts once."""

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.data.word_rows import word_rows
from keras_bert_suite.text.tokenizer import Tokenizer

_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "c"]


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(_VOCABULARY)


def rows(sentences, tokenizer, *, max_length):
    words = tf.ragged.constant(sentences, dtype=tf.string, ragged_rank=1)
    return word_rows(words, tokenizer, max_length=max_length)


def tokens(result):
    return [[_VOCABULARY[i] for i in row] for row in result.token_ids.to_list()]


def test_pieces_know_their_word(tokenizer):
    result = rows([["abb", "c"], ["\0", "", "x"], []], tokenizer, max_length=9)
    assert tokens(result) == [
        ["[CLS]", "a", "##b", "##b", "c", "[SEP]"],
        ["[CLS]", "[UNK]", "[UNK]", "[UNK]", "[SEP]"],
        ["[CLS]", "[SEP]"],
    ]
    assert result.words.to_list() == [[-1, 0, 0, 0, 1, -1], [-1, 2, 3, 4, -1], [-1, -1]]
    assert result.is_first.to_list()[0] == [False, True, False, False, True, False]
    assert result.sentences.numpy().tolist() == [0, 1, 2]


@pytest.mark.parametrize("max_length", [3, 4, 10, 18, 34])
def test_long_sentences_overlap_and_each_piece_counts_once(tokenizer, max_length):
    sentences = [["ab"] * n for n in (0, 1, 4, 8, 9, 40)] + [["a" + "b" * 60]]
    result = rows(sentences, tokenizer, max_length=max_length)
    lengths = result.token_ids.row_lengths().numpy()
    assert lengths.max() == min(max_length, 82)
    words = result.words.flat_values.numpy()
    num_pieces = [2] * (1 + 4 + 8 + 9 + 40) + [61]
    assert np.bincount(words[words >= 0]).tolist() == num_pieces
    first = result.is_first.flat_values.numpy()
    assert np.sort(words[first]).tolist() == list(range(len(num_pieces)))
    # The rows of a sentence are its pieces in order: what counts, put together, is the sentence.
    assert (np.diff(words[words >= 0]) >= 0).all()


def test_where_rows_overlap_the_middle_counts(tokenizer):
    """16 pieces a row, margins of 2, steps of 12: two rows share 4 pieces, and each takes 2."""
    result = rows([["c"] * 28], tokenizer, max_length=18)
    assert [row[1:-1] for row in result.words.to_list()] == [
        [*range(14), -1, -1],
        [-1, -1, *range(14, 28)],
    ]


def test_no_room(tokenizer):
    with pytest.raises(ValueError, match="max_length must be greater than 2"):
        rows([["a"]], tokenizer, max_length=2)
