"""The model directory: written whole or not at all, read strictly."""

from __future__ import annotations

import errno
import json
import logging
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
    read_encoder_config,
    save_model,
    write_json,
)
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile, write_safetensors

_VOCABULARY = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "b", "c", "##a", "##b", "##c"]


@pytest.fixture
def tokenizer():
    from keras_bert_suite.text.tokenizer import Tokenizer

    return Tokenizer(_VOCABULARY)


def _edit_config(directory, **changes):
    values = {**read_config(directory), **changes}
    kept = {key: value for key, value in values.items() if value is not None}
    (directory / "config.json").write_text(json.dumps(kept), encoding="utf-8")


def _edit_tensors(directory, edit):
    with SafetensorsFile(directory / "model.safetensors") as file:
        tensors = {name: file.read(name) for name in file.names}
    edit(tensors)
    write_safetensors(directory / "model.safetensors", tensors)


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


class TestWantedHeads:
    """load_model(heads=...)."""

    def test_a_stored_head_is_read(self, tiny, tmp_path):
        model = tiny.make_model("mlm", "nsp")
        save_model(model, tmp_path / "m")
        loaded = load_model(tmp_path / "m", heads=[tiny.make_head("nsp")])
        assert list(loaded.heads) == ["nsp"]
        stored = model.heads["nsp"].get_weights()
        for value, expected in zip(loaded.heads["nsp"].get_weights(), stored, strict=True):
            np.testing.assert_array_equal(value, expected)

    def test_a_fresh_head_on_a_pretrained_encoder(self, tiny, tmp_path, caplog):
        model = tiny.make_model("mlm", "nsp")
        save_model(model, tmp_path / "m")
        head = tiny.make_head("classification")
        before = [value.copy() for value in head.get_weights()]
        with caplog.at_level(logging.INFO):
            loaded = load_model(tmp_path / "m", heads=[head])
        for value, expected in zip(head.get_weights(), before, strict=True):
            np.testing.assert_array_equal(value, expected)
        assert tiny.weight_values(loaded.encoder) == tiny.weight_values(model.encoder)
        assert "no classification head in it; it starts fresh" in caplog.text
        assert "heads left out: mlm, nsp" in caplog.text

    def test_the_same_labels_are_read_and_others_start_fresh(self, tiny, tmp_path, caplog):
        model = tiny.make_model("classification")
        save_model(model, tmp_path / "m")
        stored = model.heads["classification"].classifier.kernel.numpy()
        same = tiny.make_head("classification")
        load_model(tmp_path / "m", heads=[same])
        np.testing.assert_array_equal(same.classifier.kernel.numpy(), stored)
        assert not caplog.records
        for labels in (["yes", "no", "perhaps"], ["no", "yes"]):
            other = tiny.make_head("classification", labels=labels)
            load_model(tmp_path / "m", heads=[other])
            assert not np.array_equal(other.classifier.kernel.numpy(), stored)
            message = "its classification head has other labels (no, yes, perhaps); it starts fresh"
            assert message in caplog.text
            caplog.clear()

    def test_a_head_of_another_width(self, tiny, tmp_path):
        save_model(tiny.make_model(), tmp_path / "m")
        head = tiny.make_head("nsp", config=tiny.CONFIG.replace(hidden_size=6))
        with pytest.raises(ValueError, match="encoder's hidden size, 4 in .*hidden_size=6"):
            load_model(tmp_path / "m", heads=[head])

    def test_an_architecture_without_a_head_of_ours(self, tiny, tmp_path):
        model = tiny.make_model("classification")
        save_model(model, tmp_path / "m")
        _edit_config(
            tmp_path / "m", architectures=["BertForTokenClassification"], keras_bert_suite=None
        )
        with pytest.raises(
            ValueError, match=r"config\.json: `architectures` must be of .*Load its"
        ):
            load_model(tmp_path / "m")
        head = tiny.make_head("classification")  # the names of its tensors are the same
        before = head.classifier.kernel.numpy()
        loaded = load_model(tmp_path / "m", heads=[head])
        np.testing.assert_array_equal(head.classifier.kernel.numpy(), before)
        assert tiny.weight_values(loaded.encoder) == tiny.weight_values(model.encoder)


class TestBadDirectories:
    """What a user may hand us."""

    @pytest.fixture
    def directory(self, tiny, tmp_path):
        save_model(tiny.make_model("mlm", "classification"), tmp_path / "m")
        return tmp_path / "m"

    def test_no_directory(self, tmp_path):
        with pytest.raises(
            FileNotFoundError, match="none: no such directory. A model directory ho"
        ):
            load_model(tmp_path / "none")

    def test_a_file(self, tmp_path):
        (tmp_path / "model").write_text("x")
        with pytest.raises(ValueError, match="model: must be a model directory. Found: a file"):
            load_model(tmp_path / "model")

    def test_no_config(self, tmp_path):
        with pytest.raises(
            FileNotFoundError, match="no config.json in it. A model directory holds"
        ):
            load_model(tmp_path)

    @pytest.mark.parametrize("text", [b"{", b"\xff\xfe", b"[" * 100_000, b""])
    def test_config_is_not_json(self, directory, text):
        (directory / "config.json").write_bytes(text)
        with pytest.raises(ValueError, match=r"config\.json: must be JSON in UTF-8"):
            load_model(directory)

    def test_config_is_no_object(self, directory):
        (directory / "config.json").write_text("[1]")
        with pytest.raises(
            ValueError, match=r"config\.json: must be a JSON object. Received: \[1\]"
        ):
            load_model(directory)

    def test_unknown_model_type(self, directory):
        _edit_config(directory, model_type="gpt2")
        for read in (load_model, load_encoder, read_encoder_config):
            with pytest.raises(ValueError, match=r"config\.json: `model_type` must be.*'gpt2'"):
                read(directory)

    def test_no_weights(self, directory):
        os.rename(directory / "model.safetensors", directory / "pytorch_model.bin")
        with pytest.raises(
            FileNotFoundError, match="no model.safetensors in it. Found instead: pyto"
        ):
            load_model(directory)
        os.remove(directory / "pytorch_model.bin")
        with pytest.raises(FileNotFoundError, match="no model.safetensors in it. Save the model"):
            load_model(directory)

    def test_truncated_weights(self, directory):
        content = (directory / "model.safetensors").read_bytes()
        (directory / "model.safetensors").write_bytes(content[:-1])
        with pytest.raises(ValueError, match="not a whole .safetensors file"):
            load_model(directory)

    @pytest.mark.parametrize(
        "key, value",
        [
            ("vocab_size", 12),
            ("vocab_size", 10**12),
            ("hidden_size", 8),
            ("max_position_embeddings", 9),
            ("type_vocab_size", 3),
            ("intermediate_size", 7),
        ],
    )
    def test_sizes_that_contradict_the_tensors(self, directory, key, value):
        _edit_config(directory, **{key: value})
        with pytest.raises(ValueError, match=f"config.json says {key}={value}. One of the two"):
            load_model(directory)

    def test_number_of_layers(self, directory):
        _edit_config(directory, num_hidden_layers=2)
        with pytest.raises(ValueError, match="config.json says num_hidden_layers=2"):
            load_model(directory)

    def test_number_of_labels(self, directory):
        _edit_config(directory, id2label={"0": "a", "1": "b"})
        with pytest.raises(ValueError, match=r"'classifier.weight' must have .*\[2, 4\].*\[3, 4\]"):
            load_model(directory)

    def test_no_label_names_and_no_tensor(self, directory):
        _edit_config(directory, id2label=None)
        _edit_tensors(directory, lambda tensors: tensors.pop("classifier.bias"))
        with pytest.raises(ValueError, match=r"config\.json: `labels` must name at least two"):
            load_model(directory)

    def test_a_wrong_shape(self, directory):
        name = "bert.pooler.dense.weight"
        _edit_tensors(directory, lambda tensors: tensors.update({name: np.ones(5, np.float32)}))
        with pytest.raises(
            ValueError, match=rf"'{name}' must have the shape \[4, 4\].*Found: \[5\]"
        ):
            load_model(directory)

    def test_a_missing_tensor(self, directory):
        _edit_tensors(directory, lambda tensors: tensors.pop("cls.predictions.bias"))
        with pytest.raises(
            ValueError, match=r"Missing: cls\.predictions\.bias\. Not in the model: none"
        ):
            load_model(directory)

    def test_an_extra_tensor_of_the_encoder(self, directory):
        extra = {"bert.encoder.layer.0.adapter.weight": np.ones(3, np.float32)}
        _edit_tensors(directory, lambda tensors: tensors.update(extra))
        for read in (load_model, load_encoder):
            with pytest.raises(
                ValueError, match="Not in the model: bert.encoder.layer.0.adapter.w"
            ):
                read(directory)

    def test_an_extra_tensor_of_no_head(self, directory):
        extra = {"qa_outputs.weight": np.ones(3, np.float32)}
        _edit_tensors(directory, lambda tensors: tensors.update(extra))
        with pytest.raises(
            ValueError, match="holds tensors of no head in config.json: qa_outputs.w"
        ):
            load_model(directory)
        load_encoder(directory)

    def test_a_tensor_that_is_not_finite(self, directory):
        def edit(tensors):
            tensors["bert.pooler.dense.weight"][1, 2] = np.nan

        _edit_tensors(directory, edit)
        with pytest.raises(
            ValueError, match=r"'bert.pooler.dense.weight' must be finite\. 1 of its"
        ):
            load_model(directory)

    def test_a_tensor_of_integers(self, directory):
        name = "bert.pooler.dense.bias"
        _edit_tensors(directory, lambda tensors: tensors.update({name: np.ones(4, np.int8)}))
        with pytest.raises(
            ValueError, match=rf"model\.safetensors: tensor '{name}' must be of F16"
        ):
            load_model(directory)

    def test_heads_that_contradict_the_architecture(self, directory):
        _edit_config(directory, architectures=["BertForMaskedLM"])
        with pytest.raises(
            ValueError, match=r"config\.json: `architectures` .* contradicts the hea"
        ):
            load_model(directory)


def test_no_pooler_is_reported(tiny, tmp_path, caplog):
    save_model(tiny.make_model("mlm"), tmp_path / "m")

    def edit(tensors):
        del tensors["bert.pooler.dense.weight"], tensors["bert.pooler.dense.bias"]

    _edit_tensors(tmp_path / "m", edit)
    load_model(tmp_path / "m")
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
