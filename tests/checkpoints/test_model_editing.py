"""From directory to directory: weights, configuration, tokenizer and task follow."""

from __future__ import annotations

import json

import ml_dtypes
import numpy as np
import pytest

from keras_bert_suite.checkpoints.model_directory import (
    load_model,
    load_tokenizer,
    read_config,
    save_model,
)
from keras_bert_suite.checkpoints.model_editing import Edits, edit_model, read_words
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile
from keras_bert_suite.text.tokenizer import Tokenizer

_VOCABULARY = "[PAD] [UNK] [CLS] [SEP] [MASK] co ##vid ##s the cat v".split()
_TEXTS = ["the cat", "Cats co the"]


@pytest.fixture
def source(tiny, tmp_path):
    """A classifier with an MLM head, its tokenizer and a task."""
    model = tiny.make_model("mlm", "classification", config=tiny.CONFIG.replace(num_layers=2))
    extra = {"task": {"name": "classification"}, "sequence_length": 6}
    save_model(model, tmp_path / "in", tokenizer=Tokenizer(_VOCABULARY), extra=extra)
    return tmp_path / "in"


def _stored(directory):
    with SafetensorsFile(directory / "model.safetensors") as file:
        return {name: file.read(name) for name in file.names}


def test_everything_at_once(source, tmp_path):
    edits = Edits(
        vocabulary=_VOCABULARY[:-1],
        words={"covid": (), "dog": ("cat",)},
        max_positions=20,
        num_layers=1,
        local_attention=16,
        global_attention_every=2,
        dtype="bfloat16",
    )
    changes = edit_model(source, tmp_path / "out", edits)
    assert changes == [
        "words: 11 -> 12",
        "positions: 8 -> 20",
        "layers: 2 -> 1",
        "attention: windows of 16 in local layers",
        "weights: bfloat16",
    ]
    values = read_config(tmp_path / "out")
    assert (values["vocab_size"], values["max_position_embeddings"]) == (12, 20)
    assert (values["num_hidden_layers"], values["dtype"]) == (1, "bfloat16")
    assert (values["local_attention"], values["global_attn_every_n_layers"]) == (16, 2)
    assert values["id2label"] == {"0": "no", "1": "yes", "2": "perhaps"}
    assert values["keras_bert_suite"]["task"] == {"name": "classification"}
    tokenizer = load_tokenizer(tmp_path / "out")
    assert tokenizer.tokenize(["Covid dogs"])[0].tokens == ["covid", "dog", "##s"]
    config = json.loads((tmp_path / "out" / "tokenizer_config.json").read_text())
    assert config["model_max_length"] == 20
    model = load_model(tmp_path / "out")
    table = model.encoder.embeddings.token_embeddings.embeddings.numpy()
    np.testing.assert_array_equal(table[11], table[9])
    assert list(model.heads) == ["mlm", "classification"]


def test_answers_without_the_added_words_stay_to_the_bit(source, tmp_path):
    edit_model(source, tmp_path / "out", Edits(words={"covid": ()}))
    old, new = load_model(source), load_model(tmp_path / "out")
    before = old(load_tokenizer(source)(_TEXTS))["label_logits"]
    after = new(load_tokenizer(tmp_path / "out")(_TEXTS))["label_logits"]
    np.testing.assert_array_equal(after, before)


def test_the_same_vocabulary_writes_the_same_files(source, tmp_path):
    changes = edit_model(source, tmp_path / "out", Edits(vocabulary=_VOCABULARY))
    assert changes == ["words: 11 -> 11"]
    for file in source.iterdir():
        assert (tmp_path / "out" / file.name).read_bytes() == file.read_bytes(), file.name


def test_bfloat16_is_stored_and_read_as_the_rounded_weights(source, tmp_path):
    edit_model(source, tmp_path / "out", Edits(dtype="bfloat16"))
    rounded = {name: value.astype(ml_dtypes.bfloat16) for name, value in _stored(source).items()}
    stored = _stored(tmp_path / "out")
    assert {v.dtype for v in stored.values()} == {np.dtype(ml_dtypes.bfloat16)}
    for name, value in stored.items():
        np.testing.assert_array_equal(value, rounded[name])
    for dtype in ("float32", "bfloat16", "mixed_bfloat16"):
        loaded = load_model(tmp_path / "out", dtype=dtype)
        assert loaded.encoder.compute_dtype == dtype.removeprefix("mixed_")
        table = loaded.encoder.embeddings.token_embeddings.embeddings.numpy()
        name = "bert.embeddings.word_embeddings.weight"
        np.testing.assert_array_equal(table.astype(ml_dtypes.bfloat16), rounded[name])


def test_the_stored_dtype_stays_unless_another_is_asked_for(source, tiny, tmp_path):
    edit_model(source, tmp_path / "half", Edits(dtype="float16"))
    edit_model(tmp_path / "half", tmp_path / "out", Edits(words={"dog": ()}))
    assert {value.dtype for value in _stored(tmp_path / "out").values()} == {np.dtype("float16")}
    assert read_config(tmp_path / "out")["dtype"] == "float16"
    # a config.json that claims less than the tensors hold costs nothing of them
    tiny.edit_config(source, dtype="float16")
    edit_model(source, tmp_path / "full", Edits(num_layers=2))
    for name, value in _stored(tmp_path / "full").items():
        np.testing.assert_array_equal(value, _stored(source)[name])


def test_rows_are_cut_where_positions_are(source, tmp_path):
    edit_model(source, tmp_path / "out", Edits(max_positions=5))
    assert read_config(tmp_path / "out")["keras_bert_suite"]["sequence_length"] == 5


def test_a_directory_without_a_tokenizer(tiny, tmp_path):
    save_model(tiny.make_model(), tmp_path / "in")
    edit_model(tmp_path / "in", tmp_path / "out", Edits(max_positions=9))
    assert not (tmp_path / "out" / "vocab.txt").exists()
    with pytest.raises(ValueError, match="has no vocabulary"):
        edit_model(tmp_path / "in", tmp_path / "no", Edits(words={"dog": ()}))
    assert not (tmp_path / "no").exists()


def test_one_directory_for_both(source, tmp_path):
    (tmp_path / "link").symlink_to(source)
    for output in (source, tmp_path / "link", source / ".." / "in"):
        with pytest.raises(ValueError, match="must go to another directory than the model's own"):
            edit_model(source, output, Edits(num_layers=1))


def test_nothing_to_change(source, tmp_path):
    with pytest.raises(ValueError, match="must be something to change. Received: no edits"):
        edit_model(source, tmp_path / "out", Edits(positions="interpolate"))


def test_an_edit_that_does_not_fit_writes_nothing(source, tmp_path):
    for edits in (Edits(num_layers=3), Edits(words={"cat": ()}), Edits(vocabulary=["a"])):
        with pytest.raises(ValueError):
            edit_model(source, tmp_path / "out", edits)
    assert not (tmp_path / "out").exists()


def test_words_from_a_list_and_from_a_file(tmp_path):
    expected = {"dog": (), "vat": ("cat", "the")}
    assert read_words("dog,vat=cat+the") == expected
    (tmp_path / "words.txt").write_text("dog\nvat=cat+the\n")
    assert read_words(str(tmp_path / "words.txt")) == expected
    many = [f"word{index}" for index in range(1000)]
    assert list(read_words(",".join(many))) == many


@pytest.mark.parametrize(
    "given, message",
    [
        ("dog,,cat", "word 2 of the list: must be a word, .* none of them empty. Received: ''"),
        ("", "word 1 of the list: must be a word"),
        ("dog=", "word 1 of the list.*Received: 'dog='"),
        ("dog=cat+", "word 1 of the list.*'dog=cat"),
        ("=cat", "word 1 of the list"),
        ("dog,dog", "word 2 of the list: a word is added once. Received again: 'dog'"),
        ("words.txt", "words.txt: no such file, and a word to add has no '.' in it"),
        ("lists/words", "lists/words: no such file"),
    ],
)
def test_lists_of_words_that_are_wrong(given, message):
    with pytest.raises(ValueError, match=message):
        read_words(given)


def test_files_of_words_that_are_wrong(tmp_path):
    path = tmp_path / "words.txt"
    for content, message in (
        (b"dog\n\ncat\n", "words.txt, line 2: must be a word"),
        (b"", "at least one word to add. Received: none"),
        (b"\xff", "words.txt: a list of words must be UTF-8"),
    ):
        path.write_bytes(content)
        with pytest.raises(ValueError, match=message):
            read_words(str(path))
