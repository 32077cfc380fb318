from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.text.wordpiece import WordPieces


def lists(pieces, *texts):
    return [ragged.to_list() for ragged in pieces(tf.constant(texts))]


@pytest.mark.parametrize("split_cjk", [True, False])
def test_pieces_stand_for_bytes(split_cjk):
    pieces = WordPieces(["[UNK]", "a", "##b", "é", ".", "##力", "力"], split_cjk=split_cjk)
    ids, starts, ends = lists(pieces, "ab é.", "", "zz\ta")
    assert ids == [[1, 2, 3, 4], [], [0, 1]]
    assert starts == [[0, 1, 3, 5], [], [0, 3]]
    assert ends == [[1, 2, 5, 6], [], [2, 4]]
    # As words of their own, or inside one.
    assert lists(pieces, "a力")[0] == [[1, 6 if split_cjk else 5]]
    np.testing.assert_array_equal(pieces.continuation, [0, 0, 1, 0, 0, 1, 0])


@pytest.mark.parametrize("split_cjk", [True, False])
def test_entries_that_no_word_can_match_match_nothing(split_cjk):
    entries = ["[UNK]", "foo", "bar", "foo bar", "a.b", "a", ".", "##", "\x00", "##\x00b", "[UNK]x"]
    pieces = WordPieces(entries, split_cjk=split_cjk)
    assert lists(pieces, "foo bar a.b ##")[0] == [[1, 2, 5, 6, 0, 0, 0]]


def test_longest_match_first_and_whole_words_unknown():
    pieces = WordPieces(["[UNK]", "un", "##aff", "##able", "##affa", "u", "##n"], split_cjk=True)
    # "##affa" is longer than "##aff" and leaves "ble", which nothing matches: the word is unknown.
    assert lists(pieces, "unaff unable unaffable")[0] == [[1, 2, 1, 3, 0]]


def test_a_vocabulary_with_an_entry_of_more_than_200_characters():
    pieces = WordPieces(["[UNK]", "a" * 300, "a", "##b"], split_cjk=True)
    assert lists(pieces, "a" * 300, "a" + "b" * 199, "a" + "b" * 200)[0] == [
        [0],
        [2] + [3] * 199,
        [0],
    ]


def test_an_entry_beyond_what_the_trie_takes():
    with pytest.raises(ValueError, match=r"may have 256 bytes. Got for id 1: 'é.*has 400. Shorten"):
        WordPieces(["[UNK]", "é" * 200], split_cjk=True)
