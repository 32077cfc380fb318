"""The model directory: written whole or not at all, read strictly."""

from __future__ import annotations

import errno
import os
import resource

import numpy as np
import pytest

from keras_bert_suite.checkpoints import model_directory
from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    load_tokenizer,
    read_config,
    save_model,
    write_json,
)

_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a", "##b", "##c"]


@pytest.fixture
def tokenizer():
    from keras_bert_suite.text.tokenizer import Tokenizer

    return Tokenizer(_VOCABULARY)


def _files(directory):
    return {path.name: path.read_bytes() for path in directory.iterdir() if path.is_file()}


@pytest.mark.parametrize(
    "kinds",
    [(), ("mlm",), ("mlm", "nsp"), ("nsp", "mlm"), ("classification",), ("mlm", "classification")],
)
def test_round_trip_is_bitwise(tiny, tmp_path, kinds):
    model = tiny.make_model(*kinds)
    save_model(model, tmp_path / "model")
    loaded = load_model(tmp_path / "model")
    assert list(loaded.heads) == list(kinds)
    assert loaded.encoder.config == model.encoder.config
    assert tiny.weight_values(loaded) == tiny.weight_values(model)
    batch = tiny.batch()
    ours, theirs = model(batch), loaded(batch)
    assert {k: v.numpy().tobytes() for k, v in ours.items()} == {
        k: v.numpy().tobytes() for k, v in theirs.items()
    }
    if "classification" in kinds:
        assert loaded.heads["classification"].labels == tiny.LABELS


def test_files_literally(tiny, tmp_path, tokenizer):
    save_model(tiny.make_model("mlm"), tmp_path / "new" / "model", tokenizer=tokenizer)
    assert sorted(os.listdir(tmp_path / "new" / "model")) == [
        "config.json",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]
    assert os.listdir(tmp_path / "new") == ["model"]


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_weights(tiny, tmp_path, dtype):
    model = tiny.make_model("mlm", dtype=dtype)
    save_model(model, tmp_path / "model")
    assert read_config(tmp_path / "model")["dtype"] == dtype
    same = load_model(tmp_path / "model", dtype=dtype)
    assert tiny.weight_values(same) == tiny.weight_values(model)
    for policy, stored in (("float32", "float32"), (f"mixed_{dtype}", "float32")):
        wide = load_model(tmp_path / "model", dtype=policy)
        assert {weight.dtype for weight in wide.weights} == {stored}
        for weight, original in zip(wide.weights, model.weights, strict=True):
            np.testing.assert_array_equal(weight.numpy(), np.float32(original.value))
    assert wide.encoder.compute_dtype == wide.heads["mlm"].compute_dtype == dtype


def test_an_encoder_from_a_model_with_heads(tiny, tmp_path):
    model = tiny.make_model("mlm", "nsp")
    save_model(model, tmp_path / "model")
    encoder = load_encoder(tmp_path / "model")
    assert tiny.weight_values(encoder) == tiny.weight_values(model.encoder)


def test_saving_an_encoder_alone(tiny, tmp_path):
    encoder = tiny.make_model().encoder
    save_model(encoder, tmp_path / "model")
    assert read_config(tmp_path / "model")["architectures"] == ["BertModel"]
    assert tiny.weight_values(load_encoder(tmp_path / "model")) == tiny.weight_values(encoder)


def test_extra_stands_under_our_key(tiny, tmp_path):
    save_model(tiny.make_model("nsp"), tmp_path / "model", extra={"task": {"name": "pairs"}})
    values = read_config(tmp_path / "model")
    assert values["keras_bert_suite"] == {"heads": [{"kind": "nsp"}], "task": {"name": "pairs"}}
    with pytest.raises(ValueError, match='`extra` must not hold "heads"'):
        save_model(tiny.make_model("nsp"), tmp_path / "other", extra={"heads": []})
    with pytest.raises(ValueError, match="Cannot be written as JSON: Object of type set"):
        save_model(tiny.make_model("nsp"), tmp_path / "other", extra={"task": {1}})
    assert not (tmp_path / "other").exists()


def test_an_existing_directory_keeps_its_other_files(tiny, tmp_path, tokenizer):
    (tmp_path / "checkpoints").mkdir()
    (tmp_path / "log.txt").write_text("kept")
    (tmp_path / "tokenizer.json").write_text("of another tokenizer")
    save_model(tiny.make_model("mlm"), tmp_path, tokenizer=tokenizer)
    new = tiny.make_model("nsp", seed=1)
    save_model(new, tmp_path, tokenizer=tokenizer)
    assert tiny.weight_values(load_model(tmp_path)) == tiny.weight_values(new)
    assert sorted(os.listdir(tmp_path)) == [
        "checkpoints",
        "config.json",
        "log.txt",
        "model.safetensors",
        "special_tokens_map.json",
        "tokenizer_config.json",
        "vocab.txt",
    ]


@pytest.mark.parametrize("limit", [500, 2000])  # bytes of a file: fails in the weights
def test_a_full_disk_changes_nothing(tiny, tmp_path, limit):
    save_model(tiny.make_model("mlm"), tmp_path / "old")
    before = _files(tmp_path / "old")
    other = tiny.make_model("mlm", "nsp", seed=1)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limits[1]))
    try:
        for name in ("old", "new"):
            with pytest.raises(OSError, match="Cannot write .*File too large.*Nothing there was"):
                save_model(other, tmp_path / name)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert _files(tmp_path / "old") == before
    assert os.listdir(tmp_path) == ["old"]


def test_a_failure_after_the_weights_changes_nothing(tiny, tmp_path, tokenizer, monkeypatch):
    save_model(tiny.make_model("mlm"), tmp_path, tokenizer=tokenizer)
    before = _files(tmp_path)

    def full(directory, **_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(directory / "vocab.txt"))

    monkeypatch.setattr(tokenizer, "save", full)
    with pytest.raises(OSError, match="No space left on device. Free some space") as error:
        save_model(tiny.make_model("mlm", seed=1), tmp_path, tokenizer=tokenizer)
    assert error.value.errno == errno.ENOSPC
    assert _files(tmp_path) == before
    assert len(os.listdir(tmp_path)) == len(before)


def test_config_is_renamed_last(tiny, tmp_path, monkeypatch):
    (tmp_path / "model").mkdir()
    renamed, replace = [], os.replace

    def recording(source, target):
        renamed.append(os.path.basename(target))
        replace(source, target)

    monkeypatch.setattr(os, "replace", recording)
    save_model(tiny.make_model("mlm"), tmp_path / "model")
    assert renamed[-2:] == ["model.safetensors", "config.json"]


def test_saving_to_a_file(tiny, tmp_path):
    (tmp_path / "model").write_text("x")
    with pytest.raises(ValueError, match="must be a directory to write a model to. Found: a file"):
        save_model(tiny.make_model(), tmp_path / "model")


def test_no_pooler_is_reported(tiny, tmp_path, caplog):
    save_model(tiny.make_model("mlm"), tmp_path / "m")

    def edit(tensors):
        del tensors["bert.pooler.dense.weight"], tensors["bert.pooler.dense.bias"]

    tiny.edit_tensors(tmp_path / "m", edit)
    model = load_model(tmp_path / "m")
    assert model.encoder.pooler is None and "pooler" not in caplog.text
    load_model(tmp_path / "m", heads=[tiny.make_head("classification")])
    assert "no pooler in it; the encoder's starts fresh" in caplog.text


def test_tokenizer_of_a_directory(tiny, tmp_path, tokenizer):
    save_model(tiny.make_model(), tmp_path / "m", tokenizer=tokenizer)
    assert load_tokenizer(tmp_path / "m").vocabulary == tuple(_VOCABULARY)


@pytest.mark.parametrize("vocab_size, fits", [(10, False), (11, True), (12, False), (16, True)])
def test_vocabulary_and_model(tiny, tmp_path, tokenizer, vocab_size, fits):
    """The vocabulary has 11 entries; 16 is that, rounded up to a multiple of 8."""
    model = tiny.make_model(config=tiny.CONFIG.replace(vocab_size=vocab_size))
    message = f"Received: 11 entries in vocab.txt, vocab_size={vocab_size} in config.json"
    save_model(model, tmp_path)
    tokenizer.save(tmp_path)
    if fits:
        load_tokenizer(tmp_path)
        save_model(model, tmp_path, tokenizer=tokenizer)
        return
    with pytest.raises(ValueError, match=message):
        load_tokenizer(tmp_path)
    with pytest.raises(ValueError, match=message):
        save_model(model, tmp_path, tokenizer=tokenizer)


def test_padding_id_of_vocabulary_and_model(tiny, tmp_path, tokenizer):
    model = tiny.make_model(config=tiny.CONFIG.replace(pad_token_id=3))
    with pytest.raises(
        ValueError, match=r"the id of \[PAD\] in the vocabulary, 0. Received: pad_t"
    ):
        save_model(model, tmp_path / "m", tokenizer=tokenizer)


def test_write_json(tmp_path):
    write_json(tmp_path, "metrics.json", {"accuracy": 0.5, "name": "Café"})
    text = (tmp_path / "metrics.json").read_text(encoding="utf-8")
    assert text == '{\n  "accuracy": 0.5,\n  "name": "Café"\n}\n'
    for value in (float("nan"), {1, 2}):
        with pytest.raises(ValueError, match="Cannot be written as JSON"):
            write_json(tmp_path, "metrics.json", value)
    assert (tmp_path / "metrics.json").read_text(encoding="utf-8") == text


def test_public_names():
    import keras_bert_suite

    for name in ("load_model", "load_encoder", "save_model"):
        assert getattr(keras_bert_suite, name) is getattr(model_directory, name)
