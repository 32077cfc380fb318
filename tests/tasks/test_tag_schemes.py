"""Which scheme a file's tags follow, and how broken ones are repaired."""

import pytest

from keras_bert_suite.tasks.tag_schemes import Detected, all_tags, continuation, detect, repaired


def tags(*sentences):
    return [sentence.split() for sentence in sentences]


@pytest.mark.parametrize(
    ("sentences", "scheme", "source"),
    [
        (tags("B-a I-a O", "O B-b"), "BIO", "BIO"),
        (tags("I-a I-a O", "O I-b B-b O"), "BIO", "IOB1"),
        (tags("I-a O", "O B-b O"), "BIO", "BIO"),  # broken in its first sentence
        (tags("O I-a I-b"), "BIO", "IOB1"),
        (tags("B I O"), "BIO", "BIO"),
        (tags("S-a O", "B-a I-a E-a"), "IOBES", "IOBES"),
        (tags("U-a O", "B-a I-a L-a"), "BILOU", "BILOU"),
        (tags("S-a O", "B-a M-a E-a"), "IOBES", "BMES"),
        (tags("B M M E S"), "plain", "plain"),  # words cut from a text, without types
        (tags("B-a M-a I-a"), "plain", "plain"),
        (tags("DT NN VBZ ."), "plain", "plain"),
        (tags("DT NN -LRB- PRP$"), "plain", "plain"),
        (tags("B-a NN"), "plain", "plain"),
        (tags("S V O"), "plain", "plain"),
        (tags("O O"), "plain", "plain"),
    ],
)
def test_the_scheme_is_found(sentences, scheme, source):
    assert detect(sentences) == Detected(scheme, source)


@pytest.mark.parametrize(
    ("given", "scheme", "expected"),
    [
        ("B-a I-a O B-b", "BIO", "B-a I-a O B-b"),
        ("I-a I-a O I-b", "BIO", "B-a I-a O B-b"),
        ("B-a I-b", "BIO", "B-a B-b"),
        ("I-a B-a I-a", "BIO", "B-a B-a I-a"),
        ("B I O I", "BIO", "B I O B"),
        ("B-a I-a O B-a", "IOBES", "B-a E-a O S-a"),
        ("B-a I-a E-a S-b", "IOBES", "B-a I-a E-a S-b"),
        ("B-a M-a M-a E-a S-b", "IOBES", "B-a I-a I-a E-a S-b"),
        ("I-a L-a B-b", "BILOU", "B-a L-a U-b"),
        ("NN I-a", "plain", "NN I-a"),
    ],
)
def test_broken_tags_are_written_anew(given, scheme, expected):
    assert repaired(given.split(), scheme) == tuple(expected.split())


def test_all_tags_of_a_type_are_known_when_one_is():
    assert all_tags(["B-b", "O", "B-a", "I-a"], "BIO") == ("O", "B-a", "I-a", "B-b", "I-b")
    assert all_tags(["S-a"], "IOBES") == ("O", "B-a", "I-a", "E-a", "S-a")
    assert all_tags(["U-a"], "BILOU") == ("O", "B-a", "I-a", "L-a", "U-a")
    assert all_tags(["B", "O"], "BIO") == ("O", "B", "I")
    assert all_tags(["NN", "DT", "NN"], "plain") == ("DT", "NN")


def test_later_pieces_of_a_word_are_inside():
    assert [continuation(tag, "BIO") for tag in ("B-a", "I-a", "O", "B")] == [
        "I-a",
        "I-a",
        "O",
        "I",
    ]
    assert [continuation(tag, "IOBES") for tag in ("S-a", "E-a")] == ["I-a", "I-a"]
    assert continuation("B-x", "plain") == "B-x"
