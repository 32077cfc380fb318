"""Words of byte-level BPE: by hand, and against the `tokenizers` library on random Unicode."""

from __future__ import annotations

import random
import unicodedata

import pytest
import tensorflow as tf

from keras_bert_suite.text.byte_pair_words import WordSplitter


def split(texts):
    """Lists of words, and the words that begin in each row."""
    characters = tf.strings.unicode_decode(tf.constant(texts, tf.string), "UTF-8")
    begins = characters.with_flat_values(WordSplitter()(characters)).to_list()
    words = []
    for text, row in zip(texts, begins, strict=True):
        places = [place for place, begin in enumerate(row) if begin] + [len(text)]
        assert not text or places[0] == 0
        words.append([text[a:b] for a, b in zip(places, places[1:], strict=False)])
    return words


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", []),
        ("Hello  world", ["Hello", " ", " world"]),
        ("it's we'll 'tis I'D", ["it", "'s", " we", "'ll", " '", "tis", " I", "'", "D"]),
        ("a\n't  ''s x'retry", ["a", "\n", "'t", " ", " ''", "s", " x", "'re", "try"]),
        ("x's's12'd", ["x", "'s", "'s", "12", "'d"]),
        ("a \t b \n", ["a", " \t", " b", " \n"]),
        ("½a²b 力!", ["½", "a", "²", "b", " 力", "!"]),
        ("a\u00a0b\u3000 c", ["a", "\u00a0", "b", "\u3000", " c"]),
        ("'l 'v're", ["'", "l", " '", "v", "'re"]),
    ],
)
def test_by_hand(text, words):
    assert split([text]) == [words]


def test_rows_do_not_touch():
    texts = ["a'", "s b", "", " ", " c", "'l", "l"]
    assert split(texts) == [["a", "'"], ["s", " b"], [], [" "], [" c"], ["'", "l"], ["l"]]


def test_equal_to_the_tokenizers_library(all_characters):
    from tokenizers import pre_tokenizers

    library = pre_tokenizers.ByteLevel(add_prefix_space=False)
    generator = random.Random(4)
    pool = "ab'sltredvm  \n\t\r\u00a0é力1²½.,!😀\u0301\u200b\ufeffZ\x1c\x85\x00\u2028\u3000"
    texts = ["".join(generator.choices(pool, k=generator.randint(0, 40))) for _ in range(2000)]
    assert unicodedata.unidata_version >= "14"
    texts += ["".join(generator.choices(all_characters, k=20)) for _ in range(500)]
    for text, words in zip(texts, split(texts), strict=True):
        expected = [text[a:b] for _, (a, b) in library.pre_tokenize_str(text)]
        assert words == expected, ascii(text)
