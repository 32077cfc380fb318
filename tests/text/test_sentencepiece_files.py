"""The directory of a SentencePiece tokenizer: round trips, Hugging Face's variants, damage."""

from __future__ import annotations

import json
import random
import shutil

import pytest
import tensorflow as tf

from keras_bert_suite.text.sentencepiece_tokenizer import SentencePieceTokenizer
from keras_bert_suite.text.tokenizer import Tokenizer


@pytest.fixture
def directory(sentencepiece_directory, tmp_path):
    """A copy that a test may damage."""
    shutil.copytree(sentencepiece_directory, tmp_path, dirs_exist_ok=True)
    return tmp_path


@pytest.fixture
def fast_directory(directory):
    """tokenizer.json instead of spiece.model, as transformers saves it."""
    Tokenizer.from_directory(directory).save(directory)
    (directory / "spiece.model").unlink()
    (directory / "tokenizer_config.json").unlink()
    return directory


def test_round_trip(directory, english, tmp_path_factory):
    original = Tokenizer.from_directory(directory)
    assert isinstance(original, SentencePieceTokenizer)
    assert original.lowercase and not original.keep_accents
    new = tmp_path_factory.mktemp("new")
    tokenizer = Tokenizer.from_directory(directory, lowercase=False)
    tokenizer.save(new, max_length=77)
    again = Tokenizer.from_directory(new)
    assert not again.lowercase and again.vocabulary == original.vocabulary
    assert again.tokenize(english) == tokenizer.tokenize(english)
    assert again.tokenize(english) != original.tokenize(english)
    config = json.loads((new / "tokenizer_config.json").read_text())
    assert config["tokenizer_class"] == "AlbertTokenizer" and config["model_max_length"] == 77
    assert sorted(path.name for path in new.iterdir()) == [
        "special_tokens_map.json",
        "spiece.model",
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    again.save(directory)
    assert (directory / "spiece.model").read_bytes() == (new / "spiece.model").read_bytes()


def test_tokenizer_json_alone(fast_directory, sentencepiece_directory, english):
    expected = Tokenizer.from_directory(sentencepiece_directory)
    found = Tokenizer.from_directory(fast_directory)
    assert found.vocabulary == expected.vocabulary and found.special_ids == expected.special_ids
    assert found.tokenize(english) == expected.tokenize(english)
    assert found.lowercase and not found.keep_accents


def test_the_library_gives_the_same_batches(fast_directory, english):
    from tokenizers import Tokenizer as Library

    library = Library.from_file(str(fast_directory / "tokenizer.json"))
    batch = Tokenizer.from_directory(fast_directory)(english[:9], english[9:18])
    encodings = library.encode_batch(list(zip(english[:9], english[9:18], strict=True)))
    for row, encoding in enumerate(encodings):
        size = len(encoding.ids)
        assert batch["token_ids"][row, :size].tolist() == encoding.ids
        assert batch["segment_ids"][row, :size].tolist() == encoding.type_ids


def change_fast_file(directory, **changes):
    path = directory / "tokenizer.json"
    content = json.loads(path.read_text())
    for key, value in changes.items():
        if key == "model" and isinstance(value, dict):
            value = {**content["model"], **value}
        content[key] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"byte_fallback": True}}, "byte_fallback is not ALBERT's"),
        ({"model": {"vocab": [["a"]]}}, "has pieces with scores and an unk_id"),
        ({"model": {"vocab": [["a", 0.0], ["a", 0.0]]}}, "piece 1, 'a', is there twice"),
        ({"model": {"unk_id": None}}, "has pieces with scores and an unk_id"),
        ({"model": {"unk_id": 9999}}, r"one unknown piece. Got: \[\]"),
        ({"normalizer": {"type": "NFC"}}, r"Got in \S*tokenizer.json: \['NFC'\]"),
        ({"normalizer": {"type": "NFKD"}}, r"Got in \S*tokenizer.json: \['NFKD'\]"),
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "!"}},
            "precompiled_charsmap is not base64",
        ),
        (
            {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAAAAAA"}},
            "its normalisation rules are not whole",
        ),
        ({"pre_tokenizer": {"type": "ByteLevel"}}, r"ALBERT splits at.*\['ByteLevel'\]"),
    ],
)
def test_other_tokenizers_in_tokenizer_json_are_refused(fast_directory, changes, message):
    change_fast_file(fast_directory, **changes)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_directory(fast_directory)


@pytest.mark.parametrize(
    ("cut", "message"),
    [
        (0, "spiece.model is no SentencePiece model, or it is cut off. Fetch it again"),
        (100, "spiece.model is no SentencePiece model, or it is cut off"),
        (-3, "spiece.model is no SentencePiece model, or it is cut off"),
    ],
)
def test_a_model_that_is_cut_off(directory, cut, message):
    data = (directory / "spiece.model").read_bytes()
    (directory / "spiece.model").write_bytes(data[:cut])
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_directory(directory)


def test_flipped_bytes_load_or_are_refused_and_never_crash(directory):
    path = directory / "spiece.model"
    data = path.read_bytes()
    generator = random.Random(5)
    refused = 0
    for _ in range(16):
        damaged = bytearray(data)
        for _ in range(generator.choice([1, 5, 200])):
            damaged[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(damaged)
        try:
            tokenizer = Tokenizer.from_directory(directory)
        except ValueError as error:
            refused += 1
            assert "spiece.model" in str(error)
        else:
            tokenizer.ragged_ids(tf.constant(["some text, é½ 力\u200b ﬁ"]))
    assert refused > 4


def test_missing_parts_are_explained(directory):
    special = {"mask_token": "[NONE]"}
    (directory / "special_tokens_map.json").write_text(json.dumps(special))
    with pytest.raises(ValueError, match=r"special tokens .*spiece.model has no \[NONE\]"):
        Tokenizer.from_directory(directory)
    (directory / "spiece.model").unlink()
    config = {"tokenizer_class": "AlbertTokenizer"}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"no vocabulary \(spiece.model or tokenizer.json\)"):
        Tokenizer.from_directory(directory)
    (directory / "spiece.model").mkdir()
    with pytest.raises(ValueError, match="must be a SentencePiece model, and it is a directory"):
        Tokenizer.from_directory(directory)


def test_another_type_of_model_is_refused(directory, english):
    import sentencepiece

    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(english),
        model_prefix=str(directory / "spiece"),
        vocab_size=200,
        model_type="bpe",
        minloglevel=2,
    )
    with pytest.raises(ValueError, match=r"is a unigram model. Got in \S*spiece.model: type 2"):
        Tokenizer.from_directory(directory)
