"""The directory of a byte-level BPE tokenizer: round trips, Hugging Face's variants, damage."""

from __future__ import annotations

import json
import shutil

import pytest

from keras_bert_suite.text.byte_pair_tokenizer import BytePairTokenizer
from keras_bert_suite.text.tokenizer import Tokenizer


def state(tokenizer):
    names = ("vocabulary", "merges", "add_prefix_space", "special_ids")
    return {name: getattr(tokenizer, name) for name in names}


@pytest.fixture
def directory(byte_pair_directory, tmp_path):
    """A copy that a test may damage."""
    shutil.copytree(byte_pair_directory, tmp_path, dirs_exist_ok=True)
    return tmp_path


def fast_file(directory, **changes):
    """tokenizer.json instead of the two files, as transformers saves it."""
    vocabulary = json.loads((directory / "vocab.json").read_text())
    lines = (directory / "merges.txt").read_text().split("\n")[1:-1]
    model = {"type": "BPE", "dropout": None, "unk_token": None, "ignore_merges": False}
    merges = [line.split(" ") for line in lines]
    content = {
        "added_tokens": [{"id": 0, "content": "<s>"}],
        "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "use_regex": True},
        "model": {**model, "vocab": vocabulary, "merges": merges},
    }
    for key, value in changes.items():
        if isinstance(value, dict) and value.get("type") is None:
            value = {**content[key], **value}
        content[key] = value
    (directory / "tokenizer.json").write_text(json.dumps(content))
    for name in ("vocab.json", "merges.txt"):
        (directory / name).unlink()


def test_round_trip(byte_pair_directory, tmp_path):
    tokenizer = Tokenizer.from_directory(byte_pair_directory)
    assert isinstance(tokenizer, BytePairTokenizer)
    tokenizer.add_prefix_space = True
    tokenizer.save(tmp_path / "new", max_length=77)
    assert state(Tokenizer.from_directory(tmp_path / "new")) == state(tokenizer)
    for name in ("vocab.json", "merges.txt"):
        ours, theirs = tmp_path / "new" / name, byte_pair_directory / name
        if name == "vocab.json":
            assert json.loads(ours.read_text()) == json.loads(theirs.read_text())
        else:
            assert ours.read_text() == theirs.read_text()
    config = json.loads((tmp_path / "new" / "tokenizer_config.json").read_text())
    special = json.loads((tmp_path / "new" / "special_tokens_map.json").read_text())
    assert config["tokenizer_class"] == "RobertaTokenizer" and config["model_max_length"] == 77
    assert special["cls_token"] == special["bos_token"] == "<s>"
    assert len(list((tmp_path / "new").iterdir())) == 4


def test_tokenizer_json_alone(directory):
    expected = state(Tokenizer.from_directory(directory))
    fast_file(directory)
    assert state(Tokenizer.from_directory(directory)) == {**expected, "add_prefix_space": True}
    config = {"tokenizer_class": "RobertaTokenizerFast", "add_prefix_space": False}
    (directory / "tokenizer_config.json").write_text(json.dumps(config))
    assert state(Tokenizer.from_directory(directory)) == expected


def test_special_tokens_are_found_where_they_are_kept(directory):
    vocabulary = json.loads((directory / "vocab.json").read_text())
    size = len(vocabulary)
    del vocabulary["<mask>"]
    vocabulary["spare"] = 4
    (directory / "vocab.json").write_text(json.dumps(vocabulary))
    (directory / "added_tokens.json").write_text(json.dumps({"[M]": size}))
    special = {"mask_token": {"content": "[M]", "lstrip": True}}
    (directory / "special_tokens_map.json").write_text(json.dumps(special))
    tokenizer = Tokenizer.from_directory(directory)
    assert tokenizer.mask_id == size and tokenizer.vocab_size == size + 1
    (directory / "added_tokens.json").unlink()
    added = {"added_tokens_decoder": {str(size): {"content": "[M]"}}}
    (directory / "tokenizer_config.json").write_text(json.dumps(added))
    assert Tokenizer.from_directory(directory).mask_id == size


def test_casing_cannot_be_asked_for(directory):
    assert not Tokenizer.from_directory(directory, lowercase=False).lowercase
    with pytest.raises(ValueError, match="never lower-cases.*Leave lowercase out"):
        Tokenizer.from_directory(directory, lowercase=True)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": {"dropout": 0.1}}, "tokenizer.json: dropout=0.1"),
        ({"model": {"ignore_merges": True}}, "ignore_merges=True"),
        ({"normalizer": {"type": "NFC"}}, "normalizer {'type': 'NFC'}"),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer {'type': 'Whitespace'}"),
        ({"pre_tokenizer": {"use_regex": False}}, "use_regex=false"),
        ({"model": {"vocab": []}}, "has a vocab and merges"),
        ({"model": {"merges": [["a"]]}}, r"Got in \S*tokenizer.json, merge 0: \['a'\]"),
        ({"added_tokens": [1]}, "added_tokens must be objects"),
        ({"model": {"vocab": {"a": 0, "b": 2}}}, "without gaps; those of .*tokenizer.json"),
        ({"model": {"vocab": {"a": "x"}}}, "its id, an integer"),
    ],
)
def test_other_tokenizers_in_tokenizer_json_are_refused(directory, changes, message):
    fast_file(directory, **changes)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_directory(directory)


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("merges.txt", None, "there is no .*merges.txt. Fetch it"),
        ("merges.txt", b"\xff", "merges.txt is not UTF-8"),
        ("merges.txt", b"#version: 0.2\na b c\n", "merges.txt, line 2: 'a b c'"),
        ("merges.txt", b"#version: 0.2\na \n", "merges.txt, line 2: 'a '"),
        ("merges.txt", b"#version: 0.2\nq qqq\n", "as merge 1: 'q' and 'qqq'"),
        ("vocab.json", b"{", "vocab.json, line 1 is not JSON"),
        ("vocab.json", b"[]", "vocab.json must hold a JSON object"),
        ("vocab.json", b'{"<s>": true}', "vocab.json must give each entry"),
        ("vocab.json", b"{}", "vocab.json must give each entry"),
        ("vocab.json", b'{"a": 0}', "has no <pad> <unk> <s> </s> <mask>"),
        (
            "special_tokens_map.json",
            b'{"cls_token": 1}',
            "cls_token must be a token's text. Got: 1",
        ),
        ("special_tokens_map.json", b'{"cls_token": "<pad>"}', "special tokens must differ"),
        (
            "tokenizer_config.json",
            b'{"added_tokens_decoder": {"a": 1}}',
            "must be ids with content",
        ),
        ("tokenizer_config.json", b'{"tokenizer_class": "GPT2Tokenizer"}', "Got .*'GPT2Tokenizer'"),
    ],
)
def test_damaged_directories_are_explained(directory, name, content, message):
    if content is None:
        (directory / name).unlink()
    else:
        (directory / name).write_bytes(content)
    with pytest.raises(ValueError, match=message):
        Tokenizer.from_directory(directory)


def test_a_class_without_its_files(tmp_path):
    config = {"tokenizer_class": "RobertaTokenizer"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(config))
    with pytest.raises(ValueError, match=r"has no vocabulary \(vocab.json with merges.txt, or"):
        Tokenizer.from_directory(tmp_path)
    for name in ("vocab.json", "merges.txt"):
        (tmp_path / name).mkdir()
    with pytest.raises(ValueError, match="vocab.json must be a JSON file, and it is a directory"):
        Tokenizer.from_directory(tmp_path)
    (tmp_path / "vocab.json").rmdir()
    (tmp_path / "vocab.json").write_text("{}")
    with pytest.raises(ValueError, match="merges.txt must be a file of merges"):
        Tokenizer.from_directory(tmp_path)
