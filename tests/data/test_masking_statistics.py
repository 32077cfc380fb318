"""Span masking over 200,000 rows of real text, counted; and what it costs."""

import functools
import time

import numpy as np
import pytest
import tensorflow as tf

from keras_bert_suite.data.pretraining import PretrainingSource
from keras_bert_suite.data.record_making import make_records
from keras_bert_suite.data.row_randomness import positive, random_bits
from keras_bert_suite.data.shard_groups import Position
from keras_bert_suite.data.span_choice import span_lengths
from keras_bert_suite.text.tokenizer import Tokenizer

_ROWS, _BATCH = 200_000, 500
_NEVER = 2**62


@pytest.fixture(scope="module")
def make_tokenizer(kbs_data):
    vocabulary = (kbs_data / "vocab" / "bert-base-uncased-vocab.txt").read_text("utf-8").split("\n")
    return functools.partial(Tokenizer, [token for token in vocabulary if token])


@pytest.fixture(scope="module")
def records(kbs_data, make_tokenizer, tmp_path_factory):
    directory = tmp_path_factory.mktemp("eltec") / "records"
    make_records(
        str(kbs_data / "text_eltec_eng" / "*.txt"),
        make_tokenizer=make_tokenizer,
        output_dir=directory,
    )
    return str(directory / "train-*")


@tf.function(reduce_retracing=True)
def _draws(keys, width):
    places = tf.range(width)
    lengths = span_lengths(random_bits(keys, places, 3), p=0.2, longest=10)
    return positive(random_bits(keys, places, 0)), lengths


def _drawn_spans(text, starts, numbers, lengths, budgets):
    """The procedure draw by draw, many rows at once: (words drawn, spans, chosen [B, S])."""
    rows = np.arange(len(text))
    word = np.cumsum(np.where(text, starts, text.shape[1]), axis=1)
    numbers = np.where(text, numbers, _NEVER)
    chosen = np.zeros_like(text)
    left = np.minimum(budgets, text.sum(1))
    words = spans = 0
    while (left > 0).any():
        token = np.where(chosen, _NEVER, numbers).argmin(1)
        wants = left > 0
        first, length = word[rows, token], lengths[rows, token]
        new = text & ~chosen & wants[:, None]
        new &= (word >= first[:, None]) & (word < (first + length)[:, None])
        new &= np.cumsum(new, axis=1) <= left[:, None]
        chosen |= new
        left = left - new.sum(1)
        words, spans = words + length[wants].sum(), spans + wants.sum()
    return words, spans, chosen


def _counts(tokenizer, rows, out, *, redraw):
    """What is counted of a batch: a dict of sums; `redraw` also draws its spans one by one."""
    original, final = rows["token_ids"], out["token_ids"].numpy()
    specials = np.isin(original, [tokenizer.cls_id, tokenizer.sep_id, tokenizer.pad_id])
    text = (rows["padding_mask"] > 0) & ~specials
    after_text = np.pad(text[:, :-1], [(0, 0), (1, 0)])
    starts = text & ~(tokenizer.continuation[original] & after_text)
    real = out["prediction_weights"].numpy() > 0
    positions = out["prediction_positions"].numpy()
    index = np.arange(len(original))[:, None]
    masked = np.zeros_like(text)
    masked[np.nonzero(real)[0], positions[real]] = True
    words = spans = 0
    if redraw:
        numbers, lengths = (t.numpy() for t in _draws(rows["keys"], original.shape[1]))
        words, spans, chosen = _drawn_spans(text, starts, numbers, lengths, rows["budgets"])
        np.testing.assert_array_equal(masked, chosen)
    np.testing.assert_array_equal(original[index, positions][real], out["prediction_ids"][real])
    left, right = (out[f"span_{side}_positions"].numpy() for side in ("left", "right"))
    first = positions - out["span_distances"].numpy() + 1
    changed = masked & (final != tokenizer.mask_id) & (final != original)
    return {
        "rows": len(original),
        "tokens": rows["padding_mask"].sum(),
        "text": text.sum(),
        "masked": masked.sum(),
        "hidden": (masked & (final == tokenizer.mask_id)).sum(),
        "same": (masked & (final == original)).sum(),
        "special": np.isin(final[changed], tokenizer.special_ids).sum(),
        "elsewhere": (~masked & (final != original)).sum(),
        "words": words,
        "spans": spans,
        "boundaries": (masked[index, left] | masked[index, right])[real].sum(),
        "inside": (~starts[index, first] & real).sum(),
        "targets": out["span_weights"].numpy().sum(),
        "far": (out["span_distances"].numpy() > 128).sum(),
        "random_next": rows.get("next_sentence_labels", np.zeros(1)).sum(),
    }


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objectives", "length"), [(("mlm", "nsp"), 128), (("mlm", "sbo"), 512)], ids=["128", "512"]
)
def test_spans_of_200_000_rows(records, make_tokenizer, objectives, length):
    tokenizer = make_tokenizer()
    source = PretrainingSource(
        records,
        tokenizer=tokenizer,
        sequence_length=length,
        global_batch_size=_BATCH,
        seed=0,
        objectives=objectives,
        masking="span",
        static_shapes=True,
    )
    mask = tf.function(source._batches.masking)
    total: dict[str, int] = {}
    batches = source._groups.runs(Position(), _BATCH)
    for batch in range(_ROWS // _BATCH):
        rows = source._batches._examples(next(batches))
        inputs = {key: tf.constant(rows[key]) for key in ("token_ids", "padding_mask")}
        out = mask(inputs, keys=rows["keys"], budgets=rows["budgets"], width=source.max_predictions)
        for key, count in _counts(tokenizer, rows, out, redraw=batch % 10 == 0).items():
            total[key] = total.get(key, 0) + int(count)
    shares = {key: total[key] / total["masked"] for key in ("hidden", "same", "targets")}
    print(
        f"\n{length}: masked {total['masked'] / total['tokens']:.4%} of all tokens, "
        f"{total['masked'] / total['text']:.4%} of text; [MASK] {shares['hidden']:.4%}, unchanged "
        f"{shares['same']:.4%}; {total['words'] / total['spans']:.4f} words a span; boundary "
        f"targets {shares['targets']:.2%}; random next {total['random_next'] / total['rows']:.4%}"
    )
    assert total["rows"] == _ROWS
    # The budget is rounded up, to less than one token a row more than 15 % of the text.
    assert 0 <= total["masked"] - 0.15 * total["text"] < total["rows"]
    if length == 512:
        assert abs(total["masked"] / total["tokens"] - 0.15) < 0.001
    assert abs(shares["hidden"] - 0.8) < 0.003 and abs(shares["same"] - 0.1) < 0.003
    assert abs(total["words"] / total["spans"] - 3.80) < 0.05
    for never in ("special", "elsewhere", "boundaries", "inside", "far"):
        assert total[never] == 0, never
    if "nsp" in objectives:
        assert abs(total["random_next"] / total["rows"] - 0.5) < 0.01


@pytest.mark.slow
def test_spans_cost_about_what_words_cost(records, make_tokenizer):
    """Interleaved, so that whatever else the machine does slows all kinds alike."""
    calls, seconds = {}, {}
    for kind in ("token", "whole_word", "span"):
        source = PretrainingSource(
            records,
            tokenizer=make_tokenizer(),
            sequence_length=512,
            global_batch_size=256,
            seed=0,
            objectives=("mlm",),
            masking=kind,
            static_shapes=True,
        )
        rows = source._batches._examples(next(source._groups.runs(Position(), 256)))
        inputs = {key: tf.constant(rows[key]) for key in ("token_ids", "padding_mask")}
        calls[kind] = functools.partial(
            tf.function(source._batches.masking),
            inputs,
            keys=tf.constant(rows["keys"]),
            budgets=tf.constant(rows["budgets"]),
            width=source.max_predictions,
        )
        calls[kind]()
        seconds[kind] = []
    for _ in range(15):
        for kind, call in calls.items():
            start = time.perf_counter()
            call()["token_ids"].numpy()
            seconds[kind].append(time.perf_counter() - start)
    medians = {kind: float(np.median(times)) for kind, times in seconds.items()}
    print("\nms a batch of 256 x 512:", {k: round(1e3 * m, 1) for k, m in medians.items()})
    assert medians["span"] < 3 * medians["token"]
