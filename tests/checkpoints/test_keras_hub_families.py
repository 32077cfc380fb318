"""KerasHub's ALBERT, DistilBERT and ELECTRA: presets that it wrote give its numbers here."""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_bert_suite.checkpoints import parity
from keras_bert_suite.checkpoints.conversion import convert
from keras_bert_suite.checkpoints.model_directory import load_encoder, load_model
from keras_bert_suite.checkpoints.sources import find_source

_TOLERANCE = 1e-5
_SIZES = {
    "num_layers": 2,
    "num_heads": 2,
    "hidden_dim": 4,
    "intermediate_dim": 6,
    "max_sequence_length": 8,
}
_CASES = {
    "albert": ("AlbertBackbone", {"vocabulary_size": 11, "embedding_dim": 3}),
    "distilbert": ("DistilBertBackbone", {"vocabulary_size": 11}),
    "electra": ("ElectraBackbone", {"vocab_size": 11, "embedding_dim": 3}),
    "electra, no projection": ("ElectraBackbone", {"vocab_size": 11, "embedding_dim": 4}),
}


@pytest.fixture(scope="module")
def keras_hub():
    return pytest.importorskip("keras_hub")


def _backbone(keras_hub, case):
    name, arguments = _CASES[case]
    backbone = getattr(keras_hub.models, name)(**_SIZES, **arguments)
    generator = np.random.default_rng(3)
    for weight in backbone.weights:
        weight.assign(generator.normal(0, 0.5, weight.shape))
    return backbone


@pytest.mark.parametrize("case", _CASES)
def test_a_preset_opens(keras_hub, tmp_path, caplog, case):
    _backbone(keras_hub, case).save_to_preset(str(tmp_path))
    model = load_model(tmp_path)
    assert model.encoder.config.family == case.split(",")[0]
    batch = parity.probe(model.encoder.config)
    theirs = parity.keras_hub_answers(find_source(tmp_path), batch)
    assert list(theirs) == ["layer_1", *(["pooled_output"] if case == "albert" else [])]
    found = parity.differences(parity.answers(model, batch), theirs, batch["padding_mask"])
    assert set(found) == set(theirs)
    assert max(found.values()) < _TOLERANCE, found
    assert ("left out: ElectraBackbone: its pooled_dense" in caplog.text) == ("electra" in case)


def test_converted_and_compared(keras_hub, tmp_path):
    _backbone(keras_hub, "distilbert").save_to_preset(str(tmp_path / "preset"))
    result = convert(tmp_path / "preset", tmp_path / "out", allow_missing=["tokenizer"])
    assert result.comparisons["source_library"]["library"] == "keras_hub"
    assert result.comparisons["source_library"]["largest_difference"] < _TOLERANCE
    assert result.comparisons["result_reread"]["largest_difference"] == 0
    assert load_encoder(tmp_path / "out").config.family == "distilbert"


def test_what_is_no_family_here(keras_hub, tmp_path):
    _backbone(keras_hub, "albert").save_to_preset(str(tmp_path))
    values = json.loads((tmp_path / "config.json").read_text())
    values["config"]["num_groups"] = 2
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="`num_hidden_groups` must be 1. Received: 2"):
        load_encoder(tmp_path)
    values["registered_name"] = "keras_hub>RobertaBackbone"
    (tmp_path / "config.json").write_text(json.dumps(values))
    with pytest.raises(ValueError, match="only BertBackbone, Alb.* are read. .*Roberta"):
        load_encoder(tmp_path)
