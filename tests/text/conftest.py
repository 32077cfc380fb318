"""A tokenizer in plain Python, written from the documented rules, to hold the graph against."""

from __future__ import annotations

import random
import unicodedata
from collections.abc import Sequence
from pathlib import Path

import pytest
import trained_tokenizers

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
# Capitals of Unicode 14 (2021), which the ICU inside TensorFlow 2.21 does not lower-case yet.
NEW_CAPITALS = {0x2C2F, 0xA7C0, 0xA7D0, 0xA7D6, 0xA7D8, *range(0x10570, 0x10596)}


class ReferenceTokenizer:
    """Google's rules, with the position of every character carried along."""

    def __init__(
        self,
        vocabulary: Sequence[str],
        *,
        lowercase: bool = True,
        strip_accents: bool | None = None,
        split_cjk: bool = True,
    ):
        self.ids = {token: index for index, token in enumerate(vocabulary)}
        self.lowercase = lowercase
        self.strip_accents = lowercase if strip_accents is None else strip_accents
        self.split_cjk = split_cjk

    def __call__(self, text: str | bytes) -> tuple[list[str], list[tuple[int, int]]]:
        if isinstance(text, bytes):
            text = text.decode("utf-8", "replace")
        pieces = []
        for word in self.words(text):
            pieces.extend(self.pieces(word))
        return [token for token, _ in pieces], [offset for _, offset in pieces]

    def normalize(self, word: list[tuple[str, int]]) -> list[tuple[str, int]]:
        if self.lowercase:
            lowered = "".join(c for c, _ in word).lower()
            positions = [i for c, i in word for _ in c.lower()]
            word = list(zip(lowered, positions, strict=True))
        if self.strip_accents:
            word = [
                (part, i)
                for c, i in word
                for part in unicodedata.normalize("NFD", c)
                if unicodedata.category(part) != "Mn"
            ]
        return word

    def words(self, text: str) -> list[list[tuple[str, int]]]:
        spaced: list[list[tuple[str, int]]] = [[]]
        for i, c in enumerate(text):
            if is_deleted(c):
                continue
            if c.isspace():
                spaced.append([])
            elif self.split_cjk and is_cjk(c):
                spaced += [[(c, i)], []]
            else:
                spaced[-1].append((c, i))
        words: list[list[tuple[str, int]]] = []
        for word in spaced:
            words.append([])
            for c, i in self.normalize(word):
                if is_punctuation(c):
                    words += [[(c, i)], []]
                else:
                    words[-1].append((c, i))
        return [word for word in words if word]

    def pieces(self, word: list[tuple[str, int]]) -> list[tuple[str, tuple[int, int]]]:
        characters = "".join(c for c, _ in word)
        unknown = [("[UNK]", (word[0][1], word[-1][1] + 1))]
        if len(characters) > 200:
            return unknown
        pieces, start = [], 0
        while start < len(characters):
            mark = "##" if start else ""
            for end in range(len(characters), start, -1):
                if mark + characters[start:end] in self.ids:
                    break
            else:
                return unknown
            offset = (word[start][1], word[end - 1][1] + 1)
            pieces.append((mark + characters[start:end], offset))
            start = end
        return pieces


def is_deleted(c: str) -> bool:
    kept = c in "\t\n\r"
    return c == "\ufffd" or (not kept and unicodedata.category(c) in ("Cc", "Cf"))


def is_cjk(c: str) -> bool:
    ranges = (
        "4E00-9FFF 3400-4DBF 20000-2A6DF 2A700-2B73F 2B740-2B81F 2B820-2CEAF F900-FAFF 2F800-2FA1F"
    )
    return any(
        int(first, 16) <= ord(c) <= int(last, 16)
        for first, last in (part.split("-") for part in ranges.split())
    )


def is_punctuation(c: str) -> bool:
    if c.isascii():
        return c.isprintable() and not c.isalnum() and c != " "
    return unicodedata.category(c).startswith("P")


def assigned() -> list[str]:
    """Every character that this Python's Unicode and TensorFlow's both know."""
    return [
        chr(code)
        for code in range(0x110000)
        if unicodedata.category(chr(code)) not in ("Cn", "Cs") and code not in NEW_CAPITALS
    ]


POOLS = {
    "ascii": "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789",
    "punctuation": "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~“”‘’—…«»¿、。・\u037e\u0387≠",
    "space": " \t\n\r\u00a0\u2003\u2028\u2029\u3000",
    "control": "\x00\x01\x0b\x1f\x7f\x85\u00ad\u200b\u200d\u200f\u2060\ufeff\ufffd\U000e0041",
    "accents": "éÉçñöÅÄ\u0301\u0302\u0308\u0323\u0345\u0307İıĲǅßẞﬁ½²Ìį\u1e9b",
    "greek": "ΑΣσςάΊΰΐᾳΣΣ'.:",
    "hangul": "한국어각\u1112\u1161\u11ab\u302e\u302f",
    "cjk": "力加勝北区𠀀𪜀豈\U0002f800㐀がゴ々ー",
    "emoji": "😀👨\u200d👩\ufe0f🇩🇪🏽",
    "indic": "ছজট\u09cdक\u093f\u0301\u0e33\u0e49ก",
}


def random_text(generator: random.Random, everything: Sequence[str]) -> str:
    """Text that mixes scripts, marks, deleted characters and now and then a very long word."""
    parts = []
    for _ in range(generator.randint(0, 12)):
        kind = generator.choice([*POOLS, "any", "ascii", "ascii", "space", "long"])
        if kind == "long":
            pool = POOLS[generator.choice(["ascii", "greek", "accents", "indic"])]
            length = generator.choice([60, 199, 200, 201, 260, 900])
            parts.append("".join(generator.choices(pool[:3], k=length)))
        else:
            pool = everything if kind == "any" else POOLS[kind]
            parts.append("".join(generator.choices(pool, k=generator.randint(1, 6))))
    return "".join(parts)


def random_vocabulary(generator: random.Random, texts: Sequence[str]) -> list[str]:
    """Special tokens, most characters of the texts and many of their substrings."""
    tokens = set()
    for text in texts:
        for form in {text, unicodedata.normalize("NFD", text.lower())}:
            form = "".join(c for c in form if not c.isspace())
            tokens.update(c for c in form if generator.random() < 0.97)
            for _ in range(6):
                start = generator.randrange(len(form) + 1)
                tokens.add(form[start : start + generator.randint(1, 5)])
    tokens.discard("")
    ordered = sorted(tokens)
    return list(dict.fromkeys([*SPECIAL, *ordered, *(f"##{token}" for token in ordered)]))


@pytest.fixture
def reference_tokenizer() -> type[ReferenceTokenizer]:
    return ReferenceTokenizer


@pytest.fixture(scope="session")
def all_characters() -> list[str]:
    return assigned()


@pytest.fixture(scope="session")
def random_cases(all_characters):
    """(seed, count) -> (texts, vocabulary)."""

    def cases(seed: int, count: int) -> tuple[list[str], list[str]]:
        generator = random.Random(seed)
        texts = [random_text(generator, all_characters) for _ in range(count)]
        return texts, random_vocabulary(generator, texts[: count // 2])

    return cases


@pytest.fixture(scope="session")
def english(repository) -> list[str]:
    """Lines of real text to train small tokenizers on.

    The file never changes: of another text two splits may be equally probable, and libraries order
    those as they like.
    """
    text = (repository / "tests" / "text" / "english.txt").read_text(encoding="utf-8")
    return [line for line in text.split("\n") if line.strip()]


@pytest.fixture(scope="session")
def byte_pair_directory(english, tmp_path_factory) -> Path:
    """vocab.json and merges.txt of byte-level BPE."""
    directory = tmp_path_factory.mktemp("byte_pair")
    trained_tokenizers.write_byte_pair(directory, english)
    return directory


@pytest.fixture(scope="session")
def sentencepiece_directory(english, tmp_path_factory) -> Path:
    """A spiece.model as ALBERT's."""
    directory = tmp_path_factory.mktemp("sentencepiece")
    trained_tokenizers.write_sentencepiece(directory, english)
    return directory
