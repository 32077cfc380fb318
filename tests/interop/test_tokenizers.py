"""RoBERTa's byte-level BPE and ALBERT's SentencePiece: the ids of transformers, on varied text."""

from __future__ import annotations

import json
import random

import numpy as np
import pytest
import trained_tokenizers

from keras_bert_suite.text.tokenizer import Tokenizer

pytestmark = pytest.mark.interop

_ALPHABET = "ab'`sltredvm  \n\t\u00a0é力1²½.,!9😀\u0301ZİΣ한ﬁ“"
_KINDS = {
    "RobertaTokenizer": trained_tokenizers.write_byte_pair,
    "AlbertTokenizer": trained_tokenizers.write_sentencepiece,
}


def _texts(english):
    """English, English with accents and odd spaces, and random characters of many scripts."""
    generator = random.Random(5)
    strange = [
        "".join(generator.choices(_ALPHABET, k=generator.randint(0, 40))) for _ in range(400)
    ]
    changed = [line.replace("e", "é").replace(" ", "  ") for line in english]
    return [*english, *changed, *strange, "", " ", "I'll don't, 3.14 and 1,000!"]


@pytest.mark.parametrize("class_name", _KINDS)
def test_ids_and_offsets(repository, transformers_run, tmp_path, class_name):
    english = (repository / "tests/text/english.txt").read_text(encoding="utf-8").splitlines()
    trained, saved = tmp_path / "trained", tmp_path / "saved"
    trained.mkdir()
    _KINDS[class_name](trained, english)
    tokenizer = Tokenizer.from_directory(trained)
    tokenizer.save(saved)
    texts = _texts(english)
    pairs = texts[::-1]
    (tmp_path / "texts.json").write_text(json.dumps([texts, pairs]), encoding="utf-8")
    transformers_run(
        "tokenize_as", saved, class_name, tmp_path / "texts.json", tmp_path / "ids.json"
    )
    theirs = json.loads((tmp_path / "ids.json").read_text(encoding="utf-8"))
    batch = tokenizer(texts, pairs, max_length=24)
    different = 0
    for index, ours in enumerate(tokenizer.tokenize(texts)):
        real = int(np.sum(batch["padding_mask"][index]))
        paired = np.asarray(batch["token_ids"])[index, :real].tolist()
        if ours.ids != theirs["ids"][index]:
            # Of a Unigram model: the same pieces in another order ("l" + "ll") are equally likely.
            assert class_name == "AlbertTokenizer", ascii(texts[index])
            assert sorted(ours.ids) == sorted(theirs["ids"][index]), ascii(texts[index])
            different += 1
            continue
        assert [list(offset) for offset in ours.offsets] == theirs["offsets"][index]
        if ours.ids and paired != theirs["pair_ids"][index]:
            different += 1
            assert sorted(paired) == sorted(theirs["pair_ids"][index]), ascii(texts[index])
    assert different <= (0 if class_name == "RobertaTokenizer" else 0.02 * len(texts))
