"""The pre-training source with packed rows: the same examples and masks, fewer rows."""

import itertools
import json

import numpy as np
import pytest
from token_corpora import random_documents, tiny_tokenizer, write_shards

from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.data.pretraining import PretrainingSource
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.sentence_order import SentenceOrderHead
from keras_bert_suite.training.held_out import HeldOut

_OBJECTIVES = [("mlm",), ("mlm", "nsp", "sop"), ("mlm", "nsp", "sop", "sbo")]


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    """90 documents of one to five short sentences in five shards."""
    documents = random_documents(90, sentences=(1, 5), tokens=(1, 9))
    return write_shards(tmp_path_factory.mktemp("shards"), documents, num_shards=5)


@pytest.fixture(scope="module")
def make(shards):
    def make_source(**options):
        # Three groups of shards, about 15 rows each.
        defaults = {"sequence_length": 64, "global_batch_size": 4, "seed": 7, "group_bytes": 1500}
        defaults |= {"masking": "span", "packing": True}
        return PretrainingSource(shards, tokenizer=tiny_tokenizer(), **{**defaults, **options})

    return make_source


def _take(dataset, count=1000):
    batches = itertools.islice(dataset, count)
    return [{key: value.numpy() for key, value in batch.items()} for batch in batches]


def _cut(values, places):
    return {key: value[places].tolist() for key, value in values.items()}


def _examples(batch):
    """Every example of a batch, packed or not, as if it stood alone; sorted."""
    found = []
    for row in range(len(batch["token_ids"])):
        values = {key: value[row] for key, value in batch.items()}
        numbers = values.get("row_ids", values["padding_mask"])
        for number in range(1, numbers.max() + 1):
            places = np.flatnonzero(numbers == number)
            start = places[0]
            example = _cut({k: values[k] for k in ("token_ids", "segment_ids")}, places)
            real = (values["prediction_weights"] > 0) & np.isin(
                values["prediction_positions"], places
            )
            for key, value in values.items():
                if key.startswith(("prediction", "span")):
                    example[key] = (value[real] - start * key.endswith("_positions")).tolist()
                elif key.endswith("_labels"):
                    label = np.atleast_1d(value)[number - 1]
                    weight = values.get(key.replace("labels", "weights"), np.float32(1))
                    example[key] = [int(label), float(np.atleast_1d(weight)[number - 1])]
            if "position_ids" in values:
                assert values["position_ids"][places].tolist() == list(range(len(places)))
            if "cls_positions" in values:
                assert values["cls_positions"][number - 1] == start
            found.append(json.dumps(example, sort_keys=True))
    return found


@pytest.mark.parametrize("objectives", _OBJECTIVES)
def test_examples_and_masks_are_the_same_packed_or_not(make, objectives):
    packed, alone = (
        _take(make(objectives=objectives, packing=packing).evaluation_batches(4))
        for packing in (True, False)
    )
    found = [example for batch in packed for example in _examples(batch)]
    expected = [example for batch in alone for example in _examples(batch)]
    assert sorted(found) == sorted(expected) and len(expected) > 80
    assert sum(len(b["token_ids"]) for b in packed) < len(expected) / 1.5
    slots = sum(batch["padding_mask"].sum(1).size * 64 for batch in packed)
    share, examples = make(objectives=objectives).real_token_shares()
    assert sum(batch["padding_mask"].sum() for batch in packed) / slots > 0.85 < share
    assert 1.5 < examples < 8


@pytest.mark.parametrize("static_shapes", [pytest.param(False, marks=pytest.mark.slow), True])
def test_packed_and_unpacked_give_the_same_loss(make, static_shapes):
    tokenizer = tiny_tokenizer()
    config = EncoderConfig(
        vocab_size=tokenizer.vocab_size,
        hidden_size=16,
        num_layers=2,
        num_heads=2,
        intermediate_size=32,
        max_positions=64,
        initializer_range=0.2,
    )
    heads = [head.for_encoder(config) for head in (MaskedLMHead, NextSentenceHead)]
    model = BertModel(Encoder(config), [*heads, SentenceOrderHead.for_encoder(config)])
    objectives = ("mlm", "nsp", "sop")
    found = make(objectives=objectives, static_shapes=static_shapes).evaluation_batches(5)
    expected = make(objectives=objectives, packing=False).evaluation_batches(20)
    found, expected = HeldOut(model, found)(), HeldOut(model, expected)()
    assert found.keys() == expected.keys() and len(found) == 6
    for name, value in expected.items():
        assert found[name] == pytest.approx(value, rel=1e-5)


def test_a_resumed_source_gives_the_same_rows_from_any_step(make):
    options = {"objectives": ("mlm", "nsp", "sop")}
    uninterrupted = make(**options)
    expected = _take(uninterrupted.batches(0), 30)
    assert uninterrupted._position(29).epoch >= 2
    for step, with_state in ((5, True), (12, True), (29, True), (29, False)):
        state = json.loads(json.dumps(uninterrupted.state(step))) if with_state else None
        (batch,) = _take(make(**options).batches(step, state=state), 1)
        assert batch.keys() == expected[step].keys()
        for key, value in batch.items():
            np.testing.assert_array_equal(value, expected[step][key])


@pytest.mark.parametrize(("pipelines", "replicas"), [(1, 2), (2, 2)])
def test_rows_are_the_same_for_any_number_of_pipelines_and_replicas(make, pipelines, replicas):
    expected = _take(make().batches(2), 12)
    parts = [
        _take(
            make().batches(
                2, pipeline=pipeline, num_pipelines=pipelines, replicas_per_pipeline=replicas
            ),
            12 * replicas,
        )
        for pipeline in range(pipelines)
    ]
    for step, batch in enumerate(expected):
        step_parts = [part[step * replicas + r] for part in parts for r in range(replicas)]
        assert {len(part["token_ids"]) for part in step_parts} == {4 // pipelines // replicas}
        assert [e for part in step_parts for e in _examples(part)] == _examples(batch)


def test_static_shapes_are_known_to_the_graph_and_never_too_small(make):
    options = {"objectives": ("mlm", "nsp"), "masking": "token", "max_examples_per_row": 6}
    dataset = make(static_shapes=True, **options).batches(0)
    shapes = {key: tuple(spec.shape) for key, spec in dataset.element_spec.items()}
    # 6 examples of 64 tokens: five of 10 (1.5 rounds to 2) and one of 14 have 12, others fewer.
    wide, narrow, few = (4, 64), (4, 12), (4, 6)
    predictions = ("prediction_positions", "prediction_ids", "prediction_weights")
    tokens = ("token_ids", "segment_ids", "padding_mask", "position_ids", "row_ids")
    labels = ("cls_positions", "next_sentence_labels", "next_sentence_weights")
    assert shapes == dict.fromkeys(tokens, wide) | dict.fromkeys(predictions, narrow) | (
        dict.fromkeys(labels, few)
    )
    static, dynamic = _take(dataset, 12), _take(make(**options).batches(0), 12)
    for one, other in zip(static, dynamic, strict=True):
        assert _examples(one) == _examples(other)


def test_a_row_holds_no_more_examples_than_allowed(make):
    batches = _take(make(max_examples_per_row=2).evaluation_batches(8))
    assert max(batch["row_ids"].max() for batch in batches) == 2
    with pytest.raises(ValueError, match="at least 1 example. Received: 0"):
        make(max_examples_per_row=0).batches(0)
