"""A caller's heads on a stored encoder: read, fresh or refused."""

from __future__ import annotations

import logging

import numpy as np
import pytest

from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model, save_model
from keras_bert_suite.models.heads.multi_label import MultiLabelHead


def test_a_stored_head_is_read(tiny, tmp_path):
    model = tiny.make_model("mlm", "nsp")
    save_model(model, tmp_path / "m")
    loaded = load_model(tmp_path / "m", heads=[tiny.make_head("nsp")])
    assert list(loaded.heads) == ["nsp"]
    stored = model.heads["nsp"].get_weights()
    for value, expected in zip(loaded.heads["nsp"].get_weights(), stored, strict=True):
        np.testing.assert_array_equal(value, expected)


def test_a_fresh_head_on_a_pretrained_encoder(tiny, tmp_path, caplog):
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


def test_the_same_labels_are_read_and_others_start_fresh(tiny, tmp_path, caplog):
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
        message = "its classification head is another (labels no, yes, perhaps); it starts fresh"
        assert message in caplog.text
        caplog.clear()


def test_a_head_of_another_width(tiny, tmp_path):
    save_model(tiny.make_model(), tmp_path / "m")
    head = tiny.make_head("nsp", config=tiny.CONFIG.replace(hidden_size=6))
    with pytest.raises(ValueError, match="encoder's hidden size, 4 in .*hidden_size=6"):
        load_model(tmp_path / "m", heads=[head])


def test_an_architecture_without_a_head_of_ours(tiny, tmp_path):
    model = tiny.make_model("classification")
    save_model(model, tmp_path / "m")
    tiny.edit_config(tmp_path / "m", architectures=["BertLMHeadModel"], keras_bert_suite=None)
    with pytest.raises(ValueError, match=r"config\.json: `architectures` must be of .*Load its"):
        load_model(tmp_path / "m")
    head = tiny.make_head("classification")  # the names of its tensors are the same
    before = head.classifier.kernel.numpy()
    loaded = load_model(tmp_path / "m", heads=[head])
    np.testing.assert_array_equal(head.classifier.kernel.numpy(), before)
    assert tiny.weight_values(loaded.encoder) == tiny.weight_values(model.encoder)


def test_a_stored_head_that_is_no_classification(tiny, tmp_path, caplog):
    model = tiny.make_model("classification")
    save_model(model, tmp_path / "m")
    tiny.edit_config(tmp_path / "m", problem_type="ranking", keras_bert_suite=None)
    with pytest.raises(ValueError, match=r"config\.json: `problem_type` must be one of s"):
        load_model(tmp_path / "m")
    encoder = load_encoder(tmp_path / "m")
    assert tiny.weight_values(encoder) == tiny.weight_values(model.encoder)
    head = tiny.make_head("classification")
    before = head.classifier.kernel.numpy()
    load_model(tmp_path / "m", heads=[head])
    np.testing.assert_array_equal(head.classifier.kernel.numpy(), before)
    assert "its classification head is another (`problem_type` must be" in caplog.text


def test_a_head_for_another_problem_starts_fresh(tiny, tmp_path, caplog):
    """Several labels at once and one of them have the same tensors, and mean different things."""
    save_model(tiny.make_model("classification"), tmp_path / "m")
    tiny.edit_config(
        tmp_path / "m", problem_type="multi_label_classification", keras_bert_suite=None
    )
    assert isinstance(load_model(tmp_path / "m").heads["classification"], MultiLabelHead)
    head = tiny.make_head("classification")
    before = head.classifier.kernel.numpy()
    load_model(tmp_path / "m", heads=[head])
    np.testing.assert_array_equal(head.classifier.kernel.numpy(), before)
    assert "is another (problem_type 'multi_label_classification')" in caplog.text


def test_a_head_that_the_family_has_not(tiny, tmp_path):
    save_model(tiny.make_model("mlm"), tmp_path / "m")
    with pytest.raises(ValueError, match="encoder of the family 'bert'. Received: 'rtd'"):
        load_model(tmp_path / "m", heads=[tiny.make_head("rtd")])


def test_two_heads_with_one_name(tiny, tmp_path):
    save_model(tiny.make_model("mlm"), tmp_path / "m")
    heads = [tiny.make_head("classification"), tiny.make_head("labeling")]
    with pytest.raises(ValueError, match="'classification' and 'labeling', .* 'classifier.bias'"):
        load_model(tmp_path / "m", heads=heads)
