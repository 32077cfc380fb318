"""RoBERTa, ALBERT, DistilBERT, ELECTRA and BERT's task heads: the same numbers in transformers.

Every class of transformers that we have heads for, in both directions, with padding and segments.
Two runs of transformers serve all tests: one makes models, one opens ours and theirs.
"""

from __future__ import annotations

import json

import numpy as np
import pytest

from keras_bert_suite.checkpoints.huggingface_config import make_head
from keras_bert_suite.checkpoints.huggingface_tables import TABLES
from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.families import FIXED
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder

pytestmark = pytest.mark.interop

_TOLERANCE = 1e-4  # issue: equal logits to 1e-4; the weights below make logits of the order of 10
_LABELS = ["O", "B", "I"]
_TINY = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_layers": 2,
    "num_heads": 4,
    "intermediate_size": 32,
    "max_positions": 12,
}
# Activations other than the usual ones, so that a head which must not follow them is found out.
_CONFIGS = {
    "bert": {},
    "roberta": {"num_segments": 1, "pad_token_id": 1, "activation": "relu"},
    "albert": {"embedding_size": 8, "num_layers": 3, "activation": "gelu_tanh"},
    "distilbert": {"activation": "relu"},
    "electra": {"embedding_size": 8, "activation": "silu"},
}
_CASES = [
    (family, name)
    for family, table in TABLES.items()
    for name in table.classes
    if not (family == "bert" and name in ("BertForPreTraining", "BertForMaskedLM"))  # elsewhere
]
_LOGITS = {
    "mlm": {"mlm_logits": ("prediction_logits", "logits")},
    "nsp": {"nsp_logits": ("logits",)},
    "sop": {"sop_logits": ("sop_logits",)},
    "rtd": {"replaced_logits": ("logits",)},
    "classification": {"label_logits": ("logits",)},
    "labeling": {"tag_logits": ("logits",)},
    "multiple_choice": {"choice_logits": ("logits",)},
    "qa": {"start_logits": ("start_logits",), "end_logits": ("end_logits",)},
}
_OF_ROWS = ("nsp_logits", "sop_logits", "label_logits", "choice_logits")


def _config(family, *, pooler):
    fields = {**_TINY, **FIXED[family], **_CONFIGS[family]}
    config = EncoderConfig(family=family, **fields)
    return config.replace(use_pooler=pooler) if TABLES[family].pooler else config


def _batch(config):
    """Three rows of 9, 5 and 1 real tokens, in two segments where the family has two."""
    generator = np.random.default_rng(7)
    padding_mask = (np.arange(9)[None] < np.array([[9], [5], [1]])).astype(np.int32)
    segments = (np.arange(9)[None] >= np.array([[4], [2], [1]])).astype(np.int32)
    tokens = generator.integers(2, 50, [3, 9], dtype=np.int32)
    return {
        "token_ids": np.where(padding_mask, tokens, config.pad_token_id).astype(np.int32),
        "segment_ids": segments * (config.num_segments > 1),
        "padding_mask": padding_mask,
    }


def _save_inputs(folder, family):
    batch = _batch(_config(family, pooler=False))
    names = {
        "token_ids": "input_ids",
        "segment_ids": "token_type_ids",
        "padding_mask": "attention_mask",
    }
    path = folder / f"{family}.npz"
    np.savez(path, **{names[key]: value.astype(np.int64) for key, value in batch.items()})
    return str(path)


def _make_ours(path, family, name):
    """A model of ours with random weights, as the class of transformers would hold it."""
    kinds = TABLES[family].classes[name]
    pooler = name.endswith("Model") or any(kind in ("nsp", "sop") for kind in kinds)
    pooler |= kinds == ("classification",) and family in ("bert", "albert")
    pooler |= kinds == ("multiple_choice",) and family in ("bert", "albert", "roberta")
    config = _config(family, pooler=pooler)
    values = {"id2label": {str(index): label for index, label in enumerate(_LABELS)}}
    model = BertModel(Encoder(config), [make_head(kind, config, values) for kind in kinds])
    generator = np.random.default_rng(1)
    for weight in model.weights:
        weight.assign(generator.normal(0, 0.3, weight.shape).astype(np.float32))
    save_model(model, path)


@pytest.fixture(scope="module")
def results(transformers_run, tmp_path_factory):
    """Returns a folder: SIDE/CLASS is a model, of SIDE "ours" or "theirs"; outputs beside it."""
    folder = tmp_path_factory.mktemp("families")
    made, opened = [], []
    for family, name in _CASES:
        _make_ours(folder / "ours" / name, family, name)
        config = _config(family, pooler=False).to_huggingface()
        config["id2label"] = dict(enumerate(_LABELS))
        if name.endswith("QuestionAnswering") or "sop" in TABLES[family].classes[name]:
            del config["id2label"]  # transformers gives these as many outputs as there are labels
        (folder / f"{name}.json").write_text(json.dumps(config), encoding="utf-8")
        theirs = str(folder / "theirs" / name)
        made.append(
            {"directory": theirs, "class_name": name, "config_path": str(folder / f"{name}.json")}
        )
        for side in ("ours", "theirs"):
            path = str(folder / side / name)
            opened.append(
                {
                    "directory": path,
                    "class_name": name,
                    "inputs_path": _save_inputs(folder, family),
                    "outputs_path": f"{path}.npz",
                    "again": f"{path}_again",
                }
            )
    for command, cases in (("make_all", made), ("forward_all", opened)):
        (folder / f"{command}.json").write_text(json.dumps(cases), encoding="utf-8")
        report = transformers_run(command, folder / f"{command}.json")
    reports = [json.loads(line) for line in report.splitlines() if line.startswith("{")]
    keys = [(case["directory"], report) for case, report in zip(opened, reports, strict=True)]
    (folder / "reports.json").write_text(json.dumps(dict(keys)), encoding="utf-8")
    return folder


def _assert_equal(model, outputs, name, family):
    batch = _batch(model.encoder.config)
    real = batch["padding_mask"] > 0
    encoded = model.encoder(batch, return_all_hidden_states=True)
    ours = np.stack(encoded["all_hidden_states"])
    assert ours.shape == outputs["hidden_states"].shape
    np.testing.assert_allclose(
        ours[:, real], outputs["hidden_states"][:, real], atol=_TOLERANCE, err_msg="hidden"
    )
    if "pooler_output" in outputs:
        pooled = encoded["pooled_output"]
        np.testing.assert_allclose(pooled, outputs["pooler_output"], atol=_TOLERANCE)
    logits = model(batch)
    for kind in TABLES[family].classes[name]:
        for key, candidates in _LOGITS[kind].items():
            theirs = next(outputs[other] for other in candidates if other in outputs)
            where = slice(None) if key in _OF_ROWS else real
            np.testing.assert_allclose(
                logits[key].numpy()[where], theirs[where], atol=_TOLERANCE, err_msg=key
            )


@pytest.mark.parametrize("family, name", _CASES)
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_same_numbers(results, side, family, name):
    model = load_model(results / side / name)
    assert set(model.heads) == set(TABLES[family].classes[name])
    _assert_equal(model, np.load(results / side / f"{name}.npz"), name, family)


@pytest.mark.parametrize("family, name", _CASES)
def test_ours_opens_there_without_missing_or_unexpected_tensors(results, family, name):
    reports = json.loads((results / "reports.json").read_text(encoding="utf-8"))
    report = reports[str(results / "ours" / name)]
    assert report["missing_keys"] == report["unexpected_keys"] == report["mismatched_keys"] == []
    if set(TABLES[family].classes[name]) & {"classification", "labeling"}:
        assert list(report["id2label"].values()) == _LABELS


@pytest.mark.parametrize("family, name", _CASES)
@pytest.mark.parametrize("side", ["ours", "theirs"])
def test_ours_to_transformers_to_ours_is_bitwise(results, side, family, name):
    model, again = load_model(results / side / name), load_model(results / side / f"{name}_again")
    assert again.encoder.config == model.encoder.config
    weights, others = model.get_weights(), again.get_weights()
    for ours, theirs in zip(weights, others, strict=True):
        np.testing.assert_array_equal(ours, theirs)
