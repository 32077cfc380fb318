"""Spans: equal to the sequential procedure in plain Python, and what borders on them."""

import numpy as np
import pytest
import tensorflow as tf
from masked_rows import CLS, MASK, PAD, SEP, V, apply_masking, text_rows, tiny_masking
from token_corpora import FIRST_PIECE

from keras_bert_suite.data import row_randomness, span_choice
from keras_bert_suite.data.row_randomness import row_keys


def _words(token_ids):
    """The words of a row of the tiny vocabulary, each a list of positions, by runs of text."""
    blocks, words = [], []
    for position, token in enumerate(token_ids):
        if token <= SEP and token != 1:
            words = []
        elif words and FIRST_PIECE <= token < V - 1:
            words[-1].append(position)
        else:
            if not words:
                blocks.append(words)
            words.append([position])
    return blocks


def _sequential_spans(token_ids, *, order, lengths, budget):
    """Draws tokens in the order of their numbers, one span after the other, token by token."""
    chosen: set[int] = set()
    place = {
        position: (block, index)
        for block in _words(token_ids)
        for index, word in enumerate(block)
        for position in word
    }
    for position in sorted(place, key=lambda position: order[position]):
        if len(chosen) == budget:
            break
        if position in chosen:
            continue
        block, index = place[position]
        for word in block[index : index + lengths[position]]:
            for piece in word:
                if len(chosen) < budget:
                    chosen.add(piece)
    return sorted(chosen)


@pytest.mark.parametrize(
    "rules",
    [{}, {"fraction": 0.5, "max_predictions": 60}, {"span_p": 0.05, "max_span_length": 30}],
    ids=["berts", "half", "long"],
)
def test_spans_equal_the_procedure_in_plain_python(rules):
    rng = np.random.default_rng(2)
    batch = text_rows(rng.integers(6, 61, 300), 60, seed=3)
    keys = row_keys(9, np.arange(300))
    masking = tiny_masking("span", **rules)
    out, budgets = apply_masking(masking, batch, keys)
    order = row_randomness.random_bits(tf.constant(keys), tf.range(60), 0).numpy()
    lengths = span_choice.span_lengths(
        row_randomness.random_bits(tf.constant(keys), tf.range(60), 3),
        p=masking.rules.span_p,
        longest=masking.rules.max_span_length,
    ).numpy()
    for row in range(300):
        expected = _sequential_spans(
            batch["token_ids"][row], order=order[row], lengths=lengths[row], budget=budgets[row]
        )
        real = out["prediction_weights"][row] > 0
        assert out["prediction_positions"][row][real].tolist() == expected
        assert len(expected) == budgets[row]


@pytest.mark.parametrize(
    ("p", "longest", "mean"), [(0.2, 10, 3.797), (0.5, 3, 11 / 7), (1.0, 4, 1.0)]
)
def test_lengths_are_geometric_and_renormalised(p, longest, mean):
    bits = row_randomness.random_bits(tf.constant(row_keys(np.arange(400))), tf.range(500), 3)
    lengths = span_choice.span_lengths(bits, p=p, longest=longest).numpy()
    shares = p * (1 - p) ** np.arange(longest)
    shares /= shares.sum()
    np.testing.assert_allclose(shares @ np.arange(1, longest + 1), mean, atol=1e-3)
    # 200,000 draws: the largest standard deviation of a share is 0.11 points.
    found = np.bincount(lengths.ravel(), minlength=longest + 1) / lengths.size
    assert found[0] == 0 and len(found) == longest + 1
    np.testing.assert_allclose(found[1:], shares, atol=0.005)


def _spanned(rows, **rules):
    batch = {
        "token_ids": np.asarray(rows, np.int32),
        "padding_mask": (np.asarray(rows) != PAD).astype(np.int32),
    }
    return apply_masking(tiny_masking("span", **rules), batch, row_keys(np.arange(len(rows))))[0]


def test_runs_and_their_neighbours():
    positions = tf.constant([[1, 2, 3, 5, 9, 10], [4, 7, 8, 0, 0, 0]])
    real = tf.constant([[True] * 6, [True] * 3 + [False] * 3])
    first, last = (tensor.numpy() for tensor in span_choice.runs(positions, real))
    assert first.tolist() == [[1, 1, 1, 5, 9, 9], [4, 7, 7, 0, 0, 0]]
    assert last.tolist() == [[3, 3, 3, 5, 10, 10], [4, 8, 8, 0, 0, 0]]


def test_the_keys_of_the_span_boundaries():
    out = _spanned(text_rows(np.full(500, 60), 60)["token_ids"], fraction=0.2)
    positions, weights = out["prediction_positions"], out["prediction_weights"] > 0
    left, right = out["span_left_positions"], out["span_right_positions"]
    rows = np.arange(500)[:, None]
    masked = np.zeros([500, 60], bool)
    masked[np.nonzero(weights)[0], positions[weights]] = True
    # Both boundaries are observed and all between them is masked.
    assert not masked[rows, left][weights].any() and not masked[rows, right][weights].any()
    between = np.cumsum(masked, 1)
    assert (between[rows, right] - between[rows, left] == right - left - 1)[weights].all()
    np.testing.assert_array_equal((positions - left)[weights], out["span_distances"][weights])
    # A target wherever both neighbours are text; here [CLS], the [SEP] in the middle and the last.
    text = np.ones(60, bool)
    text[[0, 30, 59]] = False
    np.testing.assert_array_equal(out["span_weights"] > 0, text[left] & text[right] & weights)
    assert 0.5 < out["span_weights"][weights].mean() < 1
    for key in ("span_left_positions", "span_right_positions", "span_distances", "span_weights"):
        assert not out[key][~weights].any()


def test_spans_end_before_special_tokens_and_carry_no_boundary_target_there():
    # Two texts of two words; spans of ten words never hold more than one text.
    row = [CLS, 5, 45, 6, SEP, 7, 8, 46, SEP, PAD]
    out = _spanned([row] * 200, fraction=0.5, span_p=1e-9, max_span_length=10)
    real = out["prediction_weights"] > 0  # ceil(0.5 (9 - 3)) = 3
    seen = {tuple(p[r].tolist()) for p, r in zip(out["prediction_positions"], real, strict=True)}
    # From the first word of a text all of it; else its last word, and more of what is left.
    assert seen >= {(1, 2, 3), (5, 6, 7)}
    assert all(len(positions) == 3 for positions in seen)
    whole = (out["prediction_positions"] == [1, 2, 3]).all(1)
    assert (out["span_left_positions"][whole] == 0).all()
    assert (out["span_right_positions"][whole] == 4).all()
    assert (out["span_distances"][whole] == [1, 2, 3]).all()
    assert not out["span_weights"][whole].any()


def test_a_row_without_specials_has_boundaries_inside_it():
    out = _spanned([[5, 6, 7, 8]] * 50, fraction=0.9)
    assert (out["span_left_positions"] >= 0).all() and (out["span_right_positions"] <= 3).all()
    touches = (out["prediction_positions"] < 1) | (out["prediction_positions"] > 2)
    assert not out["span_weights"][touches].any()


def test_one_draw_hides_a_whole_run():
    out = _spanned(text_rows(np.full(3_000, 60), 60)["token_ids"], fraction=0.2)
    real = out["prediction_weights"] > 0
    final = np.take_along_axis(out["token_ids"], out["prediction_positions"], 1)
    is_mask, is_same = final == MASK, final == out["prediction_ids"]
    adjoins = (np.diff(out["prediction_positions"], axis=1) == 1) & real[:, 1:]
    assert adjoins.mean() > 0.5
    # Next to [MASK] stands [MASK]; next to a random token a random one, the true one by accident.
    assert (is_mask[:, 1:] == is_mask[:, :-1])[adjoins].all()
    changed = ~is_mask & ~is_same
    mixed = (changed[:, 1:] != changed[:, :-1])[adjoins].mean()
    assert mixed < 0.1 * 2 / 61 * 2
    # 3,000 rows of about 3 runs: standard deviation 0.4 points.
    assert abs(is_mask[real].mean() - 0.8) < 0.02 and abs(is_same[real].mean() - 0.1) < 0.02
