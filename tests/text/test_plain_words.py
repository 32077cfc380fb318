"""Words of running text, with offsets that always slice it."""

import pytest
import tensorflow as tf

from keras_bert_suite.text.plain_words import plain_words


def words(texts):
    parts = plain_words(tf.constant(texts))
    return [list(zip(*row, strict=True)) for row in zip(*(p.to_list() for p in parts), strict=True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello, world (x)!", "Hello|,|world|(|x|)|!"),
        ("  tabs\tand\nlines\u3000too ", "tabs|and|lines|too"),
        ("na\u00efve cafe\u0301s", "na\u00efve|cafe\u0301s"),  # a combining accent
        ("\U0001f600\U0001f600 ok", "\U0001f600\U0001f600|ok"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),  # joined
        ("\u6f22\u5b57kana", "\u6f22|\u5b57|kana"),
        ("\u200f\u05e9\u05dc\u05d5\u200f, \u05dc\u05dd", "\u05e9\u05dc\u05d5|,|\u05dc\u05dd"),
        ("a\0b \0 c\0", "a\0b|c"),
        ("$5.00", "$|5|.|00"),
        ("", ""),
        ("\u200b \0\n", ""),
    ],
)  # fmt: skip
def test_words_and_their_places(text, expected):
    (found,) = words([text])
    assert "|".join(word.decode() for word, _, _ in found) == expected
    assert [text[start:end].encode() for _, start, end in found] == [word for word, _, _ in found]


def test_rows_do_not_touch_and_may_be_empty():
    found = words(["ab", "", "cd", " "])
    assert found == [[(b"ab", 0, 2)], [], [(b"cd", 0, 2)], []]
    assert plain_words(tf.constant([], tf.string))[0].shape[0] == 0


def test_bytes_that_are_not_utf_8_count_as_one_character():
    raw = b"\xff a\xc3 \xe2\x82b"
    text = raw.decode("utf-8", "replace")
    (found,) = words([raw])
    assert [text[start:end] for _, start, end in found] == ["a", "b"]


def test_a_long_text_takes_no_time():
    text = "word, " * 20_000
    (found,) = words([text])
    assert len(found) == 40_000
    assert found[-1] == (b",", len(text) - 2, len(text) - 1)
