from __future__ import annotations

import time

from keras_bert_suite.text.sentences import split_sentences


def test_abbreviations_numbers_and_quotes():
    text = (
        'Dr. Smith paid $3.50 for it, i.e. too much. "Is it true?" he asked. She left at 5 p.m. '
        "on Jan. 3rd. See e.g. Fig. 3. Version 2.1.0 is out."
    )
    assert split_sentences(text) == [
        "Dr. Smith paid $3.50 for it, i.e. too much.",
        '"Is it true?" he asked.',
        "She left at 5 p.m. on Jan. 3rd.",
        "See e.g. Fig. 3.",
        "Version 2.1.0 is out.",
    ]


def test_nothing_is_lost_and_nothing_is_empty():
    text = " One. Two?\n\nThree! no end "
    sentences = split_sentences(text)
    assert sentences == ["One.", "Two?", "Three!", "no end"]
    assert split_sentences("") == []
    assert split_sentences(" \n ") == []


def test_real_prose_keeps_every_letter_at_more_than_a_megabyte_a_second(kbs_data):
    text = (kbs_data / "text_eltec_eng" / "ENG18652_Carroll.txt").read_text(encoding="utf-8")
    paragraphs = [line for line in text.split("\n") if line.strip()]
    start = time.process_time()
    sentences = [split_sentences(paragraph) for paragraph in paragraphs]
    seconds = time.process_time() - start
    for paragraph, parts in zip(paragraphs, sentences, strict=True):
        assert "".join("".join(parts).split()) == "".join(paragraph.split())
    assert sum(map(len, sentences)) > 1.5 * len(paragraphs)
    assert len(text.encode()) / 1e6 / seconds > 1
