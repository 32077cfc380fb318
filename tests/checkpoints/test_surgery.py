"""Positions, layers and dtypes by hand on tiny models."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from keras_bert_suite.checkpoints.surgery import (
    attend_locally,
    cast_weights,
    keep_layers,
    rebuild,
    resize_positions,
    weight_value,
)
from keras_bert_suite.config import EncoderConfig


def _positions(model):
    return model.encoder.embeddings.position_embeddings.embeddings


def _with_positions(tiny, rows):
    """A model whose position table is `rows`, each repeated over the hidden size."""
    model = tiny.make_model("nsp", config=tiny.CONFIG.replace(max_positions=len(rows)))
    _positions(model).assign(np.repeat(np.float32(rows)[:, None], 4, 1))
    return model


def test_rebuilt_as_it_was_it_is_the_same_model_and_another_one(tiny):
    model = tiny.make_model("mlm", "nsp", "classification")
    before = tiny.weight_values(model)
    again = rebuild(model, model.encoder.config)
    assert tiny.weight_values(again) == before
    assert again.heads["classification"].labels == tiny.LABELS
    again.encoder.pooler.bias.assign([9, 9, 9, 9])
    assert tiny.weight_values(model) == before


@pytest.mark.parametrize(
    "method, rows, expected",
    [
        ("copy", 7, [0, 10, 40, 0, 10, 40, 0]),
        # five places at 0, 0.5, 1, 1.5, 2 of the old ones
        ("interpolate", 5, [0, 5, 10, 25, 40]),
        ("interpolate", 3, [0, 10, 40]),
        ("copy", 2, [0, 10]),
        ("interpolate", 2, [0, 10]),  # cut, not squeezed
    ],
)
def test_positions_by_hand(tiny, method, rows, expected):
    resized = resize_positions(_with_positions(tiny, [0, 10, 40]), rows, method=method)
    table = weight_value(_positions(resized))
    np.testing.assert_array_equal(table, np.repeat(np.float32(expected)[:, None], 4, 1))
    assert resized.encoder.config.max_positions == rows


def test_one_position_can_only_be_repeated(tiny):
    resized = resize_positions(_with_positions(tiny, [3]), 2, method="interpolate")
    np.testing.assert_array_equal(weight_value(_positions(resized)), np.full([2, 4], 3.0))


def test_copied_positions_keep_the_answers_on_what_fitted_before(tiny):
    model = tiny.make_model("mlm", "classification")
    longer = resize_positions(model, 20)
    for name, logits in model(tiny.batch()).items():
        np.testing.assert_array_equal(longer(tiny.batch())[name], logits)
    assert longer({"token_ids": np.ones([1, 20], np.int32)})["label_logits"].shape == (1, 3)


def test_the_first_layers_give_the_hidden_states_of_those_layers(tiny):
    config = tiny.CONFIG.replace(num_layers=3)
    model = tiny.make_model("mlm", config=config)
    states = model.encoder(tiny.batch(), return_all_hidden_states=True)["all_hidden_states"]
    for num_layers in (1, 2, 3):
        kept = keep_layers(model, num_layers)
        output = kept.encoder(tiny.batch())["sequence_output"]
        np.testing.assert_array_equal(output, states[num_layers])
        head = kept.heads["mlm"].get_weights()
        for value, expected in zip(head, model.heads["mlm"].get_weights(), strict=True):
            np.testing.assert_array_equal(value, expected)


def test_a_window_as_wide_as_the_text_changes_nothing_and_a_narrow_one_does(tiny):
    model = tiny.make_model("nsp", config=tiny.CONFIG.replace(num_layers=2))
    batch = {"token_ids": np.int32([[2, 7, 8, 9, 3]])}
    expected = model.encoder(batch)["sequence_output"]
    wide, narrow = (attend_locally(model, window, global_every=2) for window in (8, 2))
    assert [narrow.encoder.config.reach(layer) for layer in range(2)] == [None, 1]
    assert tiny.weight_values(narrow) == tiny.weight_values(model)
    np.testing.assert_allclose(wide.encoder(batch)["sequence_output"], expected, atol=1e-6)
    assert np.abs(narrow.encoder(batch)["sequence_output"] - expected).max() > 1e-4


@pytest.mark.parametrize("num_layers", [0, 2, -1])
def test_layers_that_are_not_there(tiny, num_layers):
    with pytest.raises(ValueError, match=f"must be 1 to 1, as many as.*Received: {num_layers}"):
        keep_layers(tiny.make_model(), num_layers)


def test_casting_rounds_to_even(tiny):
    model = tiny.make_model("mlm")
    # bfloat16 has 8 bits of mantissa: 1 + 2^-8 and 1 + 3 * 2^-8 lie half way between neighbours
    model.encoder.pooler.bias.assign([1 + 2**-8, 1 + 3 * 2**-8, -1, 1e-30])
    cast = cast_weights(model, "bfloat16")
    bias = weight_value(cast.encoder.pooler.bias)
    assert bias.dtype == ml_dtypes.bfloat16
    assert bias[:3].astype(np.float32).tolist() == [1, 1 + 2**-6, -1]
    for old, new in zip(model.weights, cast.weights, strict=True):
        np.testing.assert_array_equal(weight_value(new), weight_value(old).astype(new.dtype))
    assert cast(tiny.batch())["mlm_logits"].dtype == "float32"
    again = cast_weights(cast, "float32")
    assert weight_value(again.encoder.pooler.bias)[:3].tolist() == [1, 1 + 2**-6, -1]


def test_a_value_beyond_float16(tiny):
    model = tiny.make_model()
    model.encoder.pooler.bias.assign([0, 65520, 0, 0])
    with pytest.raises(ValueError, match="encoder/pooler/bias has values too large for float16. T"):
        cast_weights(model, "float16")
    cast_weights(model, "bfloat16")


def test_unknown_words_for_a_choice(tiny):
    with pytest.raises(ValueError, match="one of float32, bfloat16, float16. Received: 'int8'"):
        cast_weights(tiny.make_model(), "int8")
    with pytest.raises(ValueError, match="one of copy, interpolate. Received: 'stretch'"):
        resize_positions(tiny.make_model(), 9, method="stretch")
    with pytest.raises(ValueError, match="`max_positions` must be a positive integer"):
        resize_positions(tiny.make_model(), 0)


@pytest.mark.parametrize("name", ["roberta-base", "albert-base-v2", "distilbert-base"])
def test_other_families(tiny, name):
    """RoBERTa counts its positions behind unused rows, ALBERT has one block for all layers."""
    sizes = {"hidden_size": 4, "num_layers": 3, "num_heads": 2, "intermediate_size": 6}
    embedding = {"embedding_size": 2} if name.startswith("albert") else {}
    config = EncoderConfig.from_name(name, vocab_size=11, max_positions=5, **sizes, **embedding)
    model = tiny.make_model("mlm", config=config)
    batch = {key: tiny.batch()[key] for key in ("token_ids", "padding_mask")}
    longer = resize_positions(model, 9)
    np.testing.assert_array_equal(longer(batch)["mlm_logits"], model(batch)["mlm_logits"])
    offset = config.position_offset
    old, new = weight_value(_positions(model)), weight_value(_positions(longer))
    np.testing.assert_array_equal(new, [*old, *old[offset : offset + 4]])
    states = model.encoder(batch, return_all_hidden_states=True)["all_hidden_states"]
    output = keep_layers(model, 2).encoder(batch)["sequence_output"]
    np.testing.assert_array_equal(output, states[2])
