"""Filters: each rule on both sides of its threshold."""

import pytest

from keras_bert_suite.data.document_filters import JUNK_RULES, REASONS, DocumentFilters
from keras_bert_suite.data.documents import document_parts


def _reason(lines, **options):
    (document,) = document_parts(enumerate(lines, 1), path="a", file=0, joined=False)
    return DocumentFilters(**options).reason(document)


_PROSE = [f"Sentence {word} is here." for word in ("one", "two", "three", "four", "five")]


@pytest.mark.parametrize(
    ("kept", "left_out", "rule"),
    [
        # 8 of 10 words hold a letter; 7 of 10 do not suffice. Any script has letters.
        (["a b c d \u4e2d \u0434 \u05d0 h1 9 9"], ["a b c d e f g 9 9 9"], "few_letters"),
        (["#a b c d e f g h i j"], ["#a #b c d e f g h i j"], "symbols"),
        (["a b c d e f... g h i j"], ["a... b\u2026 c d e f g h i j"], "symbols"),
        (
            [*(f"- {w} b c d e" for w in "abcdefghi"), "j"],
            ["- a b c d", "\u2022 b c d e"],
            "bullets",
        ),
        (
            [*(f"{w} a b c d" for w in "abcdefg"), *(f"{w} x b c d..." for w in "abc")],
            [*(f"{w} a b c d e" for w in "abcdef"), *(f"{w} x b c d e..." for w in "abcd")],
            "cut_lines",
        ),
        ([*_PROSE, *_PROSE[:1]], [*_PROSE, *_PROSE[:3]], "repeated_lines"),
        # One line in six is seen again, but it holds most of the characters.
        (_PROSE, ["A long line. " * 9, *_PROSE[:4], "A long line. " * 9], "repeated_lines"),
        (["Lorem and ipsum."], ["So: Lorem ipsum dolor."], "placeholder"),
    ],
)
def test_each_rule_has_two_sides(kept, left_out, rule):
    assert _reason(kept, junk=True) is None
    assert _reason(left_out, junk=True) == rule
    assert _reason(left_out) is None
    assert rule in JUNK_RULES and rule in REASONS


def test_short_documents_are_left_out():
    assert _reason(["abc", "de"], min_characters=5) is None
    assert _reason(["abc", "de"], min_characters=6) == "too_short"
    # A document without text has no tokens: it is skipped, not judged.
    assert _reason([""], min_characters=6) is None
    with pytest.raises(ValueError, match="min_characters must not be negative. Received: -1"):
        DocumentFilters(min_characters=-1)
