"""A tokenizer's directory: round trips, Hugging Face's variants, damage."""

from __future__ import annotations

import json
import re

import pytest

from keras_bert_suite.text.tokenizer import Tokenizer

VOCABULARY = [
    "[PAD]",
    "[UNK]",
    "[CLS]",
    "[SEP]",
    "[MASK]",
    "the",
    "The",
    "é",
    "e",
    "##力",
    "\u2028",
]


def write(directory, **files):
    for name, content in files.items():
        suffix = ".txt" if name == "vocab" else ".json"
        text = content if isinstance(content, str) else json.dumps(content)
        (directory / (name + suffix)).write_text(text, encoding="utf-8")


def state(tokenizer):
    names = ("vocabulary", "lowercase", "strip_accents", "split_cjk")
    return {name: getattr(tokenizer, name) for name in names}


@pytest.mark.parametrize("lowercase", [True, False])
@pytest.mark.parametrize("strip_accents", [None, True, False])
@pytest.mark.parametrize("split_cjk", [True, False])
def test_round_trip(tmp_path, lowercase, strip_accents, split_cjk):
    tokenizer = Tokenizer(
        VOCABULARY, lowercase=lowercase, strip_accents=strip_accents, split_cjk=split_cjk
    )
    tokenizer.save(tmp_path / "new" / "directory")
    again = Tokenizer.from_directory(tmp_path / "new" / "directory")
    assert state(again) == state(tokenizer)


def test_files_are_in_hugging_face_layout(tmp_path):
    Tokenizer(VOCABULARY, lowercase=False).save(tmp_path, max_length=128)
    assert (tmp_path / "vocab.txt").read_bytes() == "".join(f"{t}\n" for t in VOCABULARY).encode()
    special = {
        "pad_token": "[PAD]",
        "unk_token": "[UNK]",
        "cls_token": "[CLS]",
        "sep_token": "[SEP]",
        "mask_token": "[MASK]",
    }
    assert json.loads((tmp_path / "special_tokens_map.json").read_text()) == special
    assert json.loads((tmp_path / "tokenizer_config.json").read_text()) == {
        "tokenizer_class": "BertTokenizer",
        "do_lower_case": False,
        "strip_accents": None,
        "tokenize_chinese_chars": True,
        "model_max_length": 128,
        **special,
    }
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "special_tokens_map.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]


def test_a_vocabulary_alone_is_uncased_unless_told(tmp_path):
    write(tmp_path, vocab="\n".join(VOCABULARY[:7]))
    assert Tokenizer.from_directory(tmp_path).lowercase is True
    assert Tokenizer.from_directory(tmp_path, lowercase=False).lowercase is False
    write(tmp_path, tokenizer_config={"do_lower_case": False})
    assert Tokenizer.from_directory(tmp_path).lowercase is False
    assert Tokenizer.from_directory(tmp_path, lowercase=True).lowercase is True


def fast_file(**changes):
    content = {
        "added_tokens": [{"id": i, "content": t} for i, t in enumerate(VOCABULARY[:5])],
        "normalizer": {
            "type": "BertNormalizer",
            "lowercase": False,
            "strip_accents": True,
            "handle_chinese_chars": False,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "model": {
            "type": "WordPiece",
            "continuing_subword_prefix": "##",
            "vocab": {token: i for i, token in enumerate(VOCABULARY)},
        },
    }
    return {**content, **changes}


def test_tokenizer_json_alone(tmp_path):
    write(tmp_path, tokenizer=fast_file())
    assert state(Tokenizer.from_directory(tmp_path)) == {
        "vocabulary": tuple(VOCABULARY),
        "lowercase": False,
        "strip_accents": True,
        "split_cjk": False,
    }
    write(tmp_path, tokenizer_config={"do_lower_case": True})
    assert Tokenizer.from_directory(tmp_path).lowercase is True


def test_tokenizer_json_of_bert_base_uncased(tmp_path, kbs_data):
    for name in ("tokenizer.json", "tokenizer_config.json"):
        source = kbs_data / "vocab" / f"bert-base-uncased-{name}"
        (tmp_path / name).write_bytes(source.read_bytes())
    tokenizer = Tokenizer.from_directory(tmp_path)
    text = (kbs_data / "vocab" / "bert-base-uncased-vocab.txt").read_text(encoding="utf-8")
    assert list(tokenizer.vocabulary) == text.split("\n")[:-1]
    assert tokenizer.lowercase and tokenizer.strip_accents and tokenizer.split_cjk


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"type": "WordPiece"}}, "tokenizer.json: model WordPiece with prefix None"),
        ({"model": {"type": "WordLevel"}}, r"must be WordPiece, BPE, Unigram.*json: 'WordLevel'"),
        ({"model": 3}, r"must be WordPiece, BPE, Unigram.*json: None"),
        ({"normalizer": {"type": "NFC"}}, "normalizer NFC"),
        ({"pre_tokenizer": None}, "pre_tokenizer None"),
        (
            {
                "model": {
                    "type": "WordPiece",
                    "continuing_subword_prefix": "##",
                    "vocab": {"[PAD]": 0, "a": 9},
                }
            },
            r"0, 1, 2, \.\.\. without gaps; those of \S*tokenizer.json are not",
        ),
    ],
)
def test_other_tokenizers_in_tokenizer_json_are_refused(tmp_path, changes, message):
    write(tmp_path, tokenizer=fast_file(**changes))
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_directory(tmp_path)


@pytest.mark.parametrize(
    ("files", "message"),
    [
        (
            {},
            r"has no vocabulary \(vocab.txt, vocab.json with merges.txt, spiece.model or "
            r"tokenizer.json\). Make one with",
        ),
        (
            {"tokenizer_config": {"tokenizer_class": "BertTokenizer"}},
            r"has no vocabulary \(vocab.txt, or tokenizer.json\). Make one with",
        ),
        ({"tokenizer_config": "{\n  1"}, r"tokenizer_config.json, line 2 is not JSON.*Repair"),
        ({"tokenizer_config": "[]"}, r"tokenizer_config.json must hold a JSON object. Got: list"),
        (
            {"tokenizer_config": {"tokenizer_class": "BertJapaneseTokenizer"}},
            r"Only these.*AlbertTok.*tokenizer_config.json: tokenizer_class 'BertJapaneseTok",
        ),
        (
            {"vocab": "[PAD]", "tokenizer_config": {"do_basic_tokenize": False}},
            r"do_basic_tokenize=false.*Remove them from \S*tokenizer_config.json",
        ),
        (
            {"vocab": "[PAD]", "special_tokens_map": {"unk_token": {"content": "<unk>"}}},
            r"unk_token is \[UNK\]. Got in \S*special_tokens_map.json: '<unk>'. .*rename",
        ),
    ],
)
def test_damaged_directories_are_explained(tmp_path, files, message):
    write(tmp_path, **files)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_directory(tmp_path)


def test_missing_directory_and_bytes_that_are_no_text(tmp_path):
    with pytest.raises(ValueError, match="no directory " + re.escape(str(tmp_path / "absent"))):
        Tokenizer.from_directory(tmp_path / "absent")
    (tmp_path / "tokenizer_config.json").write_bytes(b"\xff{}")
    with pytest.raises(ValueError, match="tokenizer_config.json is not UTF-8"):
        Tokenizer.from_directory(tmp_path)


@pytest.mark.parametrize("name", ["BertTokenizerFast", "DistilBertTokenizer", "TokenizersBackend"])
def test_tokenizer_classes_of_the_family_are_read(tmp_path, name):
    write(tmp_path, vocab="\n".join(VOCABULARY[:7]), tokenizer_config={"tokenizer_class": name})
    assert Tokenizer.from_directory(tmp_path).vocab_size == 7
