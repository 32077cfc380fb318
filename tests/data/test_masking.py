"""Masking: the exact budget, the shares, and never a token that must not be touched."""

import numpy as np
import pytest
import tensorflow as tf
from masked_rows import (
    CLS,
    MASK,
    PAD,
    SEP,
    UNK,
    V,
    apply_masking,
    text_rows,
    tiny_masking,
)
from token_corpora import FIRST_PIECE

from keras_bert_suite.data import row_randomness
from keras_bert_suite.data.masking_rules import MaskingRules
from keras_bert_suite.data.row_randomness import row_keys


def test_the_budget_is_that_of_bert():
    # 0.15 n: 0.75 -> 1 at least, 1.5 -> 2 and 10.5 -> 10 (half to even), 19.2 -> 19, 75 -> 20.
    numbers = tiny_masking().num_predictions([5, 10, 70, 128, 500], num_specials=3)
    np.testing.assert_array_equal(numbers, [1, 2, 10, 19, 20])


def test_the_budget_of_spans_counts_text_alone_and_is_rounded_up():
    # 0.15 (n - 2): 0 -> 1 at least, 0.15 -> 1, 3.0 -> 3, 3.15 -> 4, 76.5 -> 77.
    masking = tiny_masking("span", max_predictions=77)
    numbers = masking.num_predictions([2, 3, 22, 23, 512], num_specials=2)
    np.testing.assert_array_equal(numbers, [1, 1, 3, 4, 77])
    # No budget exceeds the default bound, at any length.
    for rules in (MaskingRules(), masking.rules, MaskingRules(kind="span", fraction=0.3)):
        lengths = np.arange(8, 513)
        bounds = [rules.most_predictions(int(length)) for length in lengths]
        assert (rules.budgets(lengths, num_specials=2) <= bounds).all()


def test_random_numbers_are_splitmix64_of_the_row_key():
    # An independent SplitMix64 in Python integers.
    def splitmix(state):
        z = state & (2**64 - 1)
        z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & (2**64 - 1)
        z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & (2**64 - 1)
        return z ^ (z >> 31)

    # Known first output of SplitMix64 with seed 1234567 (the reference C code).
    assert splitmix(1234567 + 0x9E3779B97F4A7C15) == 6457827717110365317
    keys = row_keys(3, np.arange(2))
    bits = row_randomness.random_bits(tf.constant(keys), tf.range(3), 1).numpy()
    for row, key in enumerate(keys.tolist()):
        for position in range(3):
            state = key + (4 * position + 2) * 0x9E3779B97F4A7C15
            assert bits[row, position] == splitmix(state)


def test_row_keys_depend_on_every_part_and_its_place():
    keys = [row_keys(1, 2, 3), row_keys(1, 3, 2), row_keys(2, 2, 3), row_keys(1, 2, 4)]
    assert len({int(key) for key in keys}) == 4
    np.testing.assert_array_equal(row_keys(1, 2, np.array([4, 3]))[1], keys[0])
    assert row_keys(-1, 2**63 - 1).dtype == np.int64


@pytest.mark.parametrize("kind", ["token", "whole_word", "span"])
def test_only_text_is_chosen_and_targets_are_the_true_tokens(kind):
    batch = text_rows(np.random.default_rng(1).integers(8, 65, 400), 64)
    out, budgets = apply_masking(tiny_masking(kind), batch, row_keys(0, np.arange(400)))
    weights = out["prediction_weights"]
    chosen = weights > 0
    # Positions rise, so none is chosen twice; what lies beyond has weight, position and id 0.
    positions, ids = out["prediction_positions"], out["prediction_ids"]
    assert (np.diff(positions, axis=1)[chosen[:, 1:]] > 0).all()
    assert not positions[~chosen].any() and not ids[~chosen].any()
    np.testing.assert_array_equal(np.sort(weights, axis=1)[:, ::-1], weights)
    original = np.take_along_axis(batch["token_ids"], positions, 1)
    np.testing.assert_array_equal(original[chosen], ids[chosen])
    assert not np.isin(ids[chosen], [PAD, CLS, SEP]).any()
    # Nothing changes that was not chosen.
    touched = np.zeros_like(batch["token_ids"], bool)
    np.put_along_axis(touched, positions, chosen, 1)
    touched[:, 0] = False
    changed = out["token_ids"] != batch["token_ids"]
    assert not (changed & ~touched).any()
    if kind != "whole_word":
        np.testing.assert_array_equal(weights.sum(1), budgets)
    else:
        assert (weights.sum(1) <= budgets).all() and weights.sum() > 0.97 * budgets.sum()


def test_shares_over_half_a_million_predictions():
    # 25,600 rows of 128 tokens: 19 predictions each, 486,400 in all. The standard deviation of an
    # 80 % share is 0.06 points, of a 10 % share 0.04.
    batch = text_rows(np.full(25_600, 128), 128)
    out, _ = apply_masking(tiny_masking(), batch, row_keys(0, np.arange(25_600)))
    final = np.take_along_axis(out["token_ids"], out["prediction_positions"], 1)
    ids = out["prediction_ids"]
    is_mask, is_same = final == MASK, final == ids
    assert final.size == 486_400
    assert abs(is_mask.mean() - 0.8) < 0.003
    # A random token is the true one in 1 of 61 cases: 10 % + 10 % / 61 look unchanged.
    assert abs(is_same.mean() - (0.1 + 0.1 / 61)) < 0.003
    replaced = final[~is_mask & ~is_same]
    assert not np.isin(replaced, [PAD, UNK, CLS, SEP, MASK]).any()
    counts = np.bincount(replaced, minlength=V)[5:]
    # Every ordinary token alike: about 786 times each, standard deviation 28.
    assert len(counts) == 61 and abs(counts - counts.mean()).max() < 6 * 28
    # Every text position alike: 486,400 / 125 = 3,891 times each, standard deviation 57.
    per_position = np.bincount(out["prediction_positions"].ravel(), minlength=128)
    text = np.setdiff1d(np.arange(128), [0, 64, 127])
    assert not per_position[[0, 64, 127]].any()
    assert abs(per_position[text] - 486_400 / 125).max() < 5 * 57


def _greedy(token_ids, candidates, scores, budget):
    """Whole words in the order of their scores, in plain Python."""
    words = []
    for position in np.flatnonzero(candidates):
        piece = FIRST_PIECE <= token_ids[position] < V - 1
        if piece and candidates[position - 1]:
            words[-1].append(position)
        else:
            words.append([position])
    chosen = []
    for word in sorted(words, key=lambda word: scores[word[0]]):
        if len(chosen) + len(word) <= budget:
            chosen.extend(word)
    return sorted(chosen)


@pytest.mark.parametrize("max_predictions", [3, 20])
def test_whole_words_equal_a_greedy_choice_in_plain_python(max_predictions):
    rng = np.random.default_rng(2)
    batch = text_rows(rng.integers(6, 61, 300), 60, seed=3)
    # Long words too: the first 100 rows are mostly pieces.
    text = batch["token_ids"] > 4
    pieces = rng.integers(FIRST_PIECE, V - 1, text.shape)
    first = np.arange(300)[:, None] < 100
    batch["token_ids"] = np.where(
        text & first & (rng.random(text.shape) < 0.8), pieces, batch["token_ids"]
    ).astype(np.int32)
    keys = row_keys(9, np.arange(300))
    masking = tiny_masking("whole_word", max_predictions=max_predictions)
    out, budgets = apply_masking(masking, batch, keys)
    bits = row_randomness.random_bits(tf.constant(keys), tf.range(60), 0).numpy()
    for row in range(300):
        candidates = batch["token_ids"][row] > SEP
        expected = _greedy(batch["token_ids"][row], candidates, bits[row], budgets[row])
        real = out["prediction_weights"][row] > 0
        assert out["prediction_positions"][row][real].tolist() == expected


def test_words_do_not_reach_across_sep():
    # waa ##a [SEP] ##b: the piece after [SEP] is a word of its own.
    rows = np.array([[CLS, 5, 45, SEP, 46, SEP]] * 40, np.int32)
    batch = {"token_ids": rows, "padding_mask": np.ones_like(rows)}
    # A budget of round(0.34 * 6) = 2.
    out, _ = apply_masking(
        tiny_masking("whole_word", fraction=0.34), batch, row_keys(np.arange(40))
    )
    real = out["prediction_weights"] > 0
    seen = {tuple(p[r].tolist()) for p, r in zip(out["prediction_positions"], real, strict=True)}
    assert seen == {(1, 2), (4,)}


@pytest.mark.parametrize("kind", ["token", "whole_word", "span"])
def test_a_row_is_masked_alike_in_any_batch_and_width(kind):
    masking = tiny_masking(kind)
    batch, keys = text_rows([20, 64, 33], 64), row_keys(5, np.arange(3))
    together, budgets = apply_masking(masking, batch, keys)
    for row in range(3):
        length = int(batch["padding_mask"][row].sum())
        alone = {key: value[row : row + 1, :length] for key, value in batch.items()}
        out, _ = apply_masking(masking, alone, keys[row : row + 1], width=20)
        np.testing.assert_array_equal(out["token_ids"][0], together["token_ids"][row, :length])
        width = int(budgets[row])
        for key in set(out) - {"token_ids", "padding_mask"}:
            np.testing.assert_array_equal(out[key][0, :width], together[key][row, :width])
            assert not out[key][0, width:].any() and out[key].shape == (1, 20)


def test_a_row_shorter_than_the_static_width_is_padded():
    row = np.array([[CLS, 5, SEP]], np.int32)
    batch = {"token_ids": row, "padding_mask": np.ones_like(row)}
    out, _ = apply_masking(tiny_masking(), batch, row_keys([1]), width=20)
    assert out["prediction_positions"][0].tolist() == [1] + [0] * 19
    assert out["prediction_ids"][0].tolist() == [5] + [0] * 19
    assert out["prediction_weights"][0].tolist() == [1.0] + [0.0] * 19


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"kind": "n-gram"}, "masking must be one of token, whole_word, span. Received: 'n-gram'"),
        ({"fraction": 0.0}, r"mask_fraction must be in \(0, 1\). Received: 0.0"),
        ({"max_predictions": 0}, "max_predictions must be at least 1. Received: 0"),
        ({"mask_token_share": 0.95}, "and together at most 1. Received: 0.95 and 0.1"),
        ({"random_token_share": -0.1}, "must not be negative.* Received: 0.8 and -0.1"),
        ({"kind": "span", "span_p": 0.0}, r"span_p must be in \(0, 1\]. Received: 0.0"),
        ({"kind": "span", "max_span_length": 0}, "max_span_length must be at least 1. Received: 0"),
        ({"span_p": 0.3}, "span_p and max_span_length belong to masking=span.*span_p=0.3"),
        ({"kind": "whole_word", "max_span_length": 5}, "max_span_length=5 with masking=whole_word"),
    ],
)
def test_wrong_options_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        tiny_masking(**options)


def test_other_shares():
    batch, keys = text_rows(np.full(2_000, 128), 128), row_keys(0, np.arange(2_000))
    out, _ = apply_masking(tiny_masking(mask_token_share=0.0, random_token_share=1.0), batch, keys)
    final = np.take_along_axis(out["token_ids"], out["prediction_positions"], 1)
    assert not np.isin(final, [PAD, UNK, CLS, SEP, MASK]).any()
    assert abs((final == out["prediction_ids"]).mean() - 1 / 61) < 0.003
    out, _ = apply_masking(tiny_masking(mask_token_share=0.0, random_token_share=0.0), batch, keys)
    np.testing.assert_array_equal(out["token_ids"], batch["token_ids"])
