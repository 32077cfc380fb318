from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import numpy as np
import pytest

from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.text.vocabulary_training import make_vocabulary, train_vocabulary

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def test_merges_by_hand():
    # Pairs inside the words: a ##b 3, ##b ##c 2. (a ##b) is merged first, then (ab ##c), twice.
    texts = ["ab abc", "ABC"]
    assert train_vocabulary(texts, vocab_size=100) == [
        *SPECIAL, "a", "b", "c", "##b", "##c", "ab", "abc",
    ]  # fmt: skip
    assert train_vocabulary(texts, vocab_size=100, min_frequency=3)[10:] == ["ab"]
    assert train_vocabulary(texts, vocab_size=11)[10:] == ["ab"]


def test_case_accents_punctuation_and_cjk():
    uncased = train_vocabulary(["É,力力 ß"], vocab_size=50)
    assert uncased == [*SPECIAL, ",", "e", "ß", "力"]
    cased = train_vocabulary(["Ée"], vocab_size=50, lowercase=False)
    assert cased == [*SPECIAL, "e", "É", "##e"]


def test_rare_characters_are_left_out():
    kept = train_vocabulary(["aab ab c"], vocab_size=50, limit_alphabet=2)
    assert kept[5:8] == ["a", "b", "##a"]
    assert not any("c" in token for token in kept[5:])


_TRAIN = """
import random, sys
from keras_bert_suite.text.vocabulary_training import train_vocabulary
r = random.Random(1)
texts = ["".join(chr(r.randrange(0x400, 0x500)) for _ in range(8)) for _ in range(300)]
r = random.Random(int(sys.argv[1])); r.shuffle(texts)
print(ascii(train_vocabulary(texts, vocab_size=500, limit_alphabet=int(sys.argv[2]))))
"""


@pytest.mark.parametrize("limit", ["50", "1000"])
def test_same_texts_give_the_same_vocabulary_in_any_process_and_order(limit):
    # All counts are nearly equal here: ties everywhere.
    outputs = {
        subprocess.run(
            [sys.executable, "-c", _TRAIN, seed, limit],
            env={**os.environ, "PYTHONHASHSEED": seed},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2", "3")
    }
    assert len(outputs) == 1


def test_equals_the_library_alone_on_real_text(kbs_data):
    from tokenizers import BertWordPieceTokenizer

    path = kbs_data / "text_eltec_eng" / "ENG18652_Carroll.txt"
    lines = path.read_text(encoding="utf-8").split("\n")
    library = BertWordPieceTokenizer(lowercase=True)
    library.train_from_iterator(lines, vocab_size=2000, show_progress=False)
    ours = train_vocabulary(lines, vocab_size=2000)
    assert len(ours) == 2000
    # Ties between merges fall otherwise; the rest is the same.
    assert len(set(ours) & set(library.get_vocab())) > 1980


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"texts": []}, "hold no words"),
        ({"texts": [" \n"]}, "hold no words"),
        (
            {"texts": ["abc"], "vocab_size": 9},
            r"special tokens \(5\) and the characters.*\(3 at the start of words, 2 inside them\). "
            r"Got: 9. Raise it to at least 10, or keep fewer.*limit_alphabet \(now 1000\)",
        ),
        ({"texts": ["a"], "min_frequency": 0}, "min_frequency must be at least 1. Got: 0"),
        ({"texts": ["a"], "vocab_size": 0}, "vocab_size must be at least 1. Got: 0"),
        ({"texts": ["a"], "limit_alphabet": -1}, "limit_alphabet must be at least 1. Got: -1"),
    ],
)
def test_what_cannot_be_done_is_explained(arguments, message):
    with pytest.raises(ValueError, match=message):
        train_vocabulary(**arguments)


def test_errors_of_the_reader_come_through():
    def texts():
        yield "a b"
        raise ValueError("file.txt, line 2")

    with pytest.raises(ValueError, match="file.txt, line 2"):
        train_vocabulary(texts())


def test_make_vocabulary_writes_a_tokenizer_and_reports(tmp_path):
    generator = random.Random(5)
    words = ["river", "rivers", "running", "runs", "Über"]
    texts = [" ".join(generator.choices(words, k=8)) for _ in range(200)]
    report = make_vocabulary(iter(texts), output_dir=tmp_path, vocab_size=60)
    tokenizer = Tokenizer.from_directory(tmp_path)
    assert (report.num_texts, report.num_entries) == (200, tokenizer.vocab_size)
    assert report.unknown_share == 0
    assert [t.tokens for t in tokenizer.tokenize(["RIVERS uber"])] == [["rivers", "uber"]]
    assert json.loads((tmp_path / "tokenizer_config.json").read_text())["do_lower_case"] is True


def test_unknown_share_is_measured(tmp_path):
    # Of 4 characters 3 are kept; the word with the fourth is one unknown piece in 4.
    report = make_vocabulary(
        ["aaa bbb cc d"] * 10, output_dir=tmp_path, vocab_size=40, limit_alphabet=3
    )
    np.testing.assert_allclose(report.unknown_share, 0.25)


def test_an_existing_vocabulary_is_kept_unless_told(tmp_path):
    make_vocabulary(["a b"], output_dir=tmp_path)
    before = (tmp_path / "vocab.txt").read_bytes()
    with pytest.raises(ValueError, match="vocab.txt is there already.*--overwrite"):
        make_vocabulary(["c d"], output_dir=tmp_path)
    assert (tmp_path / "vocab.txt").read_bytes() == before
    make_vocabulary(["c d"], output_dir=tmp_path, overwrite=True)
    assert (tmp_path / "vocab.txt").read_bytes() != before
