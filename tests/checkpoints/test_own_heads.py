"""Heads for pre-training that transformers has no class for."""

import numpy as np
import pytest

from keras_bert_suite.checkpoints.model_directory import (
    load_encoder,
    load_model,
    read_config,
    save_model,
)
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile

_SPANS = {
    "span_left_positions": np.array([[0], [0]], np.int32),
    "span_right_positions": np.array([[2], [2]], np.int32),
    "span_distances": np.array([[1], [1]], np.int32),
}


@pytest.mark.parametrize(
    ("kinds", "architecture"),
    [
        (("mlm", "sbo"), "BertForMaskedLM"),
        (("mlm", "sop"), "BertForMaskedLM"),
        (("mlm", "nsp", "sop", "sbo"), "BertForPreTraining"),
        (("sbo",), "BertModel"),
    ],
)
def test_round_trip_is_bitwise(tiny, tmp_path, kinds, architecture):
    model = tiny.make_model(*kinds)
    save_model(model, tmp_path / "m")
    assert read_config(tmp_path / "m")["architectures"] == [architecture]
    loaded = load_model(tmp_path / "m")
    assert list(loaded.heads) == list(kinds)
    assert tiny.weight_values(loaded) == tiny.weight_values(model)
    batch = {**tiny.batch(), **_SPANS}
    outputs = model(batch)
    assert {f"{kind}_logits" for kind in kinds} == set(outputs)
    for name, logits in loaded(batch).items():
        np.testing.assert_array_equal(logits, outputs[name])


def test_no_name_of_transformers_is_used(tiny, tmp_path):
    save_model(tiny.make_model("mlm"), tmp_path / "plain")
    save_model(tiny.make_model("mlm", "sop", "sbo"), tmp_path / "more")
    with (
        SafetensorsFile(tmp_path / "plain" / "model.safetensors") as plain,
        SafetensorsFile(tmp_path / "more" / "model.safetensors") as more,
    ):
        own = set(more.names) - set(plain.names)
        assert set(plain.names) <= set(more.names)
    assert {name.split(".")[0] for name in own} == {"span_boundary", "sentence_order"}


def test_they_are_left_out_where_nobody_asks(tiny, tmp_path):
    model = tiny.make_model("mlm", "nsp", "sop", "sbo")
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m", heads=[tiny.make_head("mlm")])
    assert list(loaded.heads) == ["mlm"]
    stored = model.heads["mlm"].get_weights()
    for value, expected in zip(loaded.heads["mlm"].get_weights(), stored, strict=True):
        np.testing.assert_array_equal(value, expected)
    encoder = load_encoder(tmp_path / "m")
    assert tiny.weight_values(encoder).keys() == tiny.weight_values(model.encoder).keys()
