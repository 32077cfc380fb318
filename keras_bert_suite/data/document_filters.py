"""Which documents are left out for their text: too short, or plainly no prose in any language."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass

from keras_bert_suite.data.documents import Document

_LETTER = re.compile(r"[^\W\d_]")
_ELLIPSES = ("...", "\u2026")
_BULLETS = ("\u2022", "\u2023", "\u25cf", "\u25e6", "*", "-")


@dataclass(frozen=True, kw_only=True)
class DocumentFilters:
    """Rules that look at one document; a long document is judged by its first part.

    Attributes:
      min_characters: shorter documents are left out (Unicode characters of all lines together).
      junk: whether the rules of JUNK_RULES are applied.
    """

    min_characters: int = 0
    junk: bool = False

    def __post_init__(self) -> None:
        if self.min_characters < 0:
            raise ValueError(
                f"min_characters must not be negative. Received: {self.min_characters}."
            )

    def reason(self, document: Document) -> str | None:
        """Gives the name of the first rule that leaves the document out, None if it is kept.

        Documents without any text are not judged: they have no tokens.
        """
        if not document.first or not (self.junk or self.min_characters):
            return None
        lines = [line for line in document.paragraphs if line]
        if not lines:
            return None
        if document.num_characters < self.min_characters:
            return "too_short"
        if self.junk:
            words = [word for line in lines for word in line.split()]
            for name, is_junk in JUNK_RULES.items():
                if is_junk(lines, words):
                    return name
        return None


def _few_letters(lines: list[str], words: list[str]) -> bool:
    """Fewer than 80 % of the words hold a letter of any script (Gopher)."""
    with_letter = sum(1 for word in words if word.isalpha() or _LETTER.search(word))
    return with_letter * 10 < len(words) * 8


def _symbols(lines: list[str], words: list[str]) -> bool:
    """More than one hash sign, or one ellipsis, for ten words (Gopher)."""
    text = "\n".join(lines)
    hashes, ellipses = text.count("#"), sum(map(text.count, _ELLIPSES))
    return max(hashes, ellipses) * 10 > len(words)


def _bullets(lines: list[str], words: list[str]) -> bool:
    """More than 90 % of the lines begin with a bullet point (Gopher)."""
    return sum(line.startswith(_BULLETS) for line in lines) * 10 > len(lines) * 9


def _cut_lines(lines: list[str], words: list[str]) -> bool:
    """More than 30 % of the lines end with an ellipsis (Gopher)."""
    return sum(line.endswith(_ELLIPSES) for line in lines) * 10 > len(lines) * 3


def _repeated_lines(lines: list[str], words: list[str]) -> bool:
    """Lines seen before are more than 30 % of the lines or 20 % of the characters (Gopher)."""
    counts = Counter(lines)
    repeated = len(lines) - len(counts)
    characters = sum(len(line) * (count - 1) for line, count in counts.items())
    return repeated * 10 > len(lines) * 3 or characters * 5 > sum(map(len, lines))


def _placeholder(lines: list[str], words: list[str]) -> bool:
    """Holds the typesetters' dummy text "lorem ipsum" (C4)."""
    return any("lorem ipsum" in line.lower() for line in lines)


# Those rules of two published corpora that know of no language. (Left out: Gopher's mean length of
# a word and its English stop words, C4's list of English words and its ends of sentences.)
# Gopher: Rae et al. 2021, arXiv:2112.11446, appendix A.1.1, "Quality filtering" and "Repetition
# removal" (table A1). C4: Raffel et al. 2020, arXiv:1910.10683, section 2.2.
JUNK_RULES: dict[str, Callable[[list[str], list[str]], bool]] = {
    "few_letters": _few_letters,
    "symbols": _symbols,
    "bullets": _bullets,
    "cut_lines": _cut_lines,
    "repeated_lines": _repeated_lines,
    "placeholder": _placeholder,
}
# What stats.json counts, in the order of the records' codes (0 is a document that is kept).
REASONS = ("too_short", *JUNK_RULES)
