"""The normaliser against Python's own Unicode, on every character."""

from __future__ import annotations

import unicodedata

import pytest
import tensorflow as tf

from keras_bert_suite.text.normalization import Normalizer


def deleted(character: str) -> bool:
    if character in "\t\n\r":
        return False
    return character == "\ufffd" or unicodedata.category(character) in ("Cc", "Cf")


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [True, False])
def test_every_character_of_unicode(all_characters, lowercase, strip_accents):
    def expected(character: str) -> str:
        if deleted(character):
            return ""
        if lowercase:
            character = character.lower()
        if strip_accents:
            parts = unicodedata.normalize("NFD", character)
            character = "".join(part for part in parts if unicodedata.category(part) != "Mn")
        return character

    # Ideographs of the supplementary planes and private use, two thirds of all, are alike.
    characters = [c for c in all_characters if ord(c) < 0x20000 or 0x2F800 <= ord(c) < 0xF0000]
    normalizer = Normalizer(lowercase=lowercase, strip_accents=strip_accents)
    results = normalizer(tf.constant(characters)).numpy()
    wrong = [
        (hex(ord(c)), result)
        for c, result in zip(characters, results, strict=True)
        if result.decode() != expected(c)
    ]
    assert wrong == []
    assert len(characters) > 90_000


def test_rows_are_independent_and_keep_their_order():
    normalizer = Normalizer(lowercase=True, strip_accents=True)
    texts = ["Plain", "CAFÉ\u200b", "“Curly” — 力", b"bro\xffken \xc3\x89", "", "\u00ad"]
    expected = ["plain", "cafe", "“curly” — 力", "broken e", "", ""]
    results = normalizer(tf.constant(texts)).numpy().tolist()
    assert [result.decode() for result in results] == expected


def test_bytes_kept_means_every_character_in_its_place(all_characters):
    normalizer = Normalizer(lowercase=True, strip_accents=True)
    texts = tf.constant([c for c in all_characters if ord(c) < 0x20000])
    kept = normalizer.keeps_bytes(texts).numpy()
    before, after = texts.numpy()[kept], normalizer(texts).numpy()[kept]
    assert kept.sum() > 20_000
    assert all(len(a) == len(b) for a, b in zip(before, after, strict=True))
