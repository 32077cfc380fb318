"""The tuned part as a directory: merging it by the binary's function, PEFT's config, bad files."""

import json

import numpy as np
import pytest
import toy_classification as toy
import tuned_models

from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    load_tokenizer,
    read_config,
    save_model,
)
from keras_bert_suite.checkpoints.model_editing import Edits, edit_model
from keras_bert_suite.tuning.bitfit import BitFit
from keras_bert_suite.tuning.lora import Lora
from keras_bert_suite.tuning.prompts import Prefix


@pytest.fixture
def base(tmp_path):
    return toy.write_model_directory(tmp_path / "base")


def _saved(base, directory, method):
    """A directory of a classifier whose tuned weights are random, and its logits."""
    model = tuned_models.write(base, directory, method)
    return model(tuned_models.batch())["label_logits"].numpy()


def test_merging_a_directory(base, tmp_path):
    expected = _saved(base, tmp_path / "lora", Lora(lora_targets=("key", "output")))
    changes = edit_model(tmp_path / "lora", tmp_path / "plain", Edits(merge=True))
    assert changes == ["lora: merged into the weights"]
    assert "base" not in read_config(tmp_path / "plain")["keras_bert_suite"]
    merged = load_model(tmp_path / "plain")(tuned_models.batch())["label_logits"]
    np.testing.assert_allclose(merged, expected, atol=1e-5)
    with pytest.raises(ValueError, match="is a plain model already: there is nothing to merge"):
        edit_model(tmp_path / "plain", tmp_path / "again", Edits(merge=True))
    _saved(base, tmp_path / "prefix", Prefix())
    with pytest.raises(ValueError, match="'prefix' cannot be merged: its vectors stand beside"):
        edit_model(tmp_path / "prefix", tmp_path / "again", Edits(merge=True))


def test_peft_s_config(base, tmp_path):
    _saved(base, tmp_path / "lora", Lora(lora_rank=4))
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["r"], config["lora_alpha"]) == ("LORA", 4, 16)
    assert config["target_modules"] == ["query", "value"]
    assert config["modules_to_save"] == ["classifier", "pooler"]
    assert config["base_model_name_or_path"] == str(base)
    _saved(base, tmp_path / "lora", Lora(lora_targets=("output",)))
    config = json.loads((tmp_path / "lora" / "adapter_config.json").read_text())
    # "dense" would mean four modules of each layer
    assert config["target_modules"] == [f"bert.encoder.layer.{i}.output.dense" for i in range(2)]
    _saved(base, tmp_path / "prefix", Prefix(prefix_length=5))
    config = json.loads((tmp_path / "prefix" / "adapter_config.json").read_text())
    assert (config["peft_type"], config["num_virtual_tokens"]) == ("PREFIX_TUNING", 5)
    _saved(base, tmp_path / "prefix", BitFit())
    assert not (tmp_path / "prefix" / "adapter_config.json").exists()


def test_peft_s_directory_without_our_config(base, tmp_path):
    lora = tmp_path / "lora"
    expected = _saved(base, lora, Lora(lora_rank=4))
    (lora / "config.json").unlink()
    loaded = load_model(lora)
    assert loaded.tuned.method == Lora(lora_rank=4)
    np.testing.assert_array_equal(loaded(tuned_models.batch())["label_logits"], expected)
    file = lora / "adapter_config.json"
    values = json.loads(file.read_text())
    for changes, message in [
        ({"use_dora": True}, "`use_dora` must be False. Received: True"),
        ({"peft_type": "IA3"}, "`peft_type` must be LORA. Received: 'IA3'"),
        ({"r": "8"}, "needs `r`, `lora_alpha` and matrices of the first layer"),
        ({"base_model_name_or_path": "bert-base"}, "must be a directory here. Received: 'bert-"),
    ]:
        file.write_text(json.dumps(values | changes))
        with pytest.raises(ValueError, match=message):
            load_model(lora)


def test_a_base_at_another_place(base, tmp_path):
    """The caller's base_dir counts; the checksum of ours still does too."""
    lora = tmp_path / "lora"
    expected = _saved(base, lora, Lora(lora_rank=4))
    moved = base.rename(tmp_path / "moved")
    with pytest.raises(ValueError, match=r"base any more. Move the base back, or say by"):
        load_model(lora)
    logits = load_model(lora, base_dir=moved)(tuned_models.batch())["label_logits"]
    np.testing.assert_array_equal(logits, expected)
    other = toy.write_model_directory(tmp_path / "other")
    encoder = load_encoder(other)
    encoder.weights[0].assign_add(np.ones(encoder.weights[0].shape))
    save_model(encoder, other)
    with pytest.raises(ValueError, match="that is not its base: it had"):
        load_model(lora, base_dir=other)
    with pytest.raises(ValueError, match=r"base is not at .*nowhere. Move the base back"):
        load_model(lora, base_dir=tmp_path / "nowhere")
    with pytest.raises(ValueError, match="belongs to the tuned part of a model, and"):
        load_model(moved, base_dir=base)

    (lora / "config.json").unlink()
    file = lora / "adapter_config.json"
    values = json.loads(file.read_text()) | {"base_model_name_or_path": "google-bert/bert-base"}
    file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="'google-bert/bert-base'. Nothing is downloaded: get the"):
        load_model(lora)
    logits = load_model(lora, base_dir=moved)(tuned_models.batch())["label_logits"]
    np.testing.assert_array_equal(logits, expected)


def test_a_tuned_part_has_its_base_s_tokenizer_unless_it_has_one(base, tmp_path):
    lora = tmp_path / "lora"
    _saved(base, lora, Lora())
    for name in ("vocab.txt", "tokenizer_config.json", "special_tokens_map.json"):
        (lora / name).unlink()
    assert load_tokenizer(lora).vocabulary == toy.tokenizer().vocabulary
    edit_model(lora, tmp_path / "plain", Edits(merge=True))
    assert load_tokenizer(tmp_path / "plain").vocabulary == toy.tokenizer().vocabulary
    toy.tokenizer().save(lora, max_length=32)
    (base / "vocab.txt").unlink()
    assert load_tokenizer(lora).vocabulary == toy.tokenizer().vocabulary


def test_a_tuned_part_that_does_not_fit(base, tmp_path):
    lora = tmp_path / "lora"
    _saved(base, lora, Lora(lora_rank=4))
    file = lora / "config.json"
    values = json.loads(file.read_text())
    values["keras_bert_suite"]["tuning"]["lora_rank"] = 8
    file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="must have the shape .* Found: "):
        load_model(lora)
    values["keras_bert_suite"]["tuning"] = {"name": "bitfit"}
    file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match=r"Not in the model: .*lora_A\.weight"):
        load_model(lora)
    del values["keras_bert_suite"]["tuning"]
    file.write_text(json.dumps(values))
    with pytest.raises(ValueError, match="config.json: The config of a tuning method is an object"):
        load_model(lora)
