"""Labelled spans out of the span head's logits, inside the graph."""

from __future__ import annotations

from collections.abc import Mapping

import tensorflow as tf

Tensors = Mapping[str, tf.Tensor]


def best_spans(
    logits: tf.Tensor, valid: tf.Tensor, *, max_width: int, max_spans: int
) -> dict[str, tf.Tensor]:
    """The labelled spans of enumerated candidates, none of which overlap.

    The likeliest span comes first; a span that overlaps one before it falls away.

    Args:
      logits: float32 [batch, candidates, classes], class 0 being "none".
      valid: float32 [batch, candidates], 1 for the spans that there are.
      max_width: tokens of the widest candidate.
      max_spans: most spans of a row.

    Returns:
      [batch, max_spans], the spans first: float32 `scores`, probabilities; int32 `labels`, -1
      where there are no more, `starts` and `ends`, columns, the last token's included.
    """
    shares = tf.nn.softmax(logits)
    best = tf.reduce_max(shares[:, :, 1:], axis=2)
    labels = tf.argmax(shares[:, :, 1:], axis=2, output_type=tf.int32)
    left = tf.where((best > shares[:, :, 0]) & (valid > 0), best, -1.0)
    left = tf.pad(left, [[0, 0], [0, 1]], constant_values=-1.0)  # an argmax needs something
    first = tf.range(tf.shape(left)[1]) // max_width
    last = first + tf.range(tf.shape(left)[1]) % max_width
    found = []
    for _ in range(max_spans):
        place = tf.argmax(left, axis=1, output_type=tf.int32)
        found.append((tf.reduce_max(left, axis=1), place))
        begin, end = (tf.gather(side, place)[:, None] for side in (first, last))
        left = tf.where((first <= end) & (begin <= last), -1.0, left)
    scores, places = (tf.stack(column, axis=1) for column in zip(*found, strict=True))
    there = scores > 0
    labels = tf.gather(tf.pad(labels, [[0, 0], [0, 1]]), places, axis=1, batch_dims=1)
    starts = places // max_width
    return {
        "scores": tf.maximum(scores, 0.0),
        "labels": tf.where(there, labels, -1),
        "starts": tf.where(there, starts, 0),
        "ends": tf.where(there, starts + places % max_width, 0),
    }


def found_spans(
    outputs: Tensors, batch: Tensors, *, max_width: int, max_spans: int
) -> dict[str, tf.Tensor]:
    """`best_spans` of the head's logits, with `starts` and `ends` as [start, end) in characters.

    Args:
      outputs: "span_logits".
      batch: of `span_rows`; or a client's own token ids: then every token but the first may stand
        in a span, and the offsets are columns.
      max_width, max_spans: as in `best_spans`.
    """
    tokens = batch["padding_mask"]
    columns = tf.broadcast_to(tf.range(tf.shape(tokens)[1])[None, :], tf.shape(tokens))
    tokens = batch["span_tokens"] if "span_tokens" in batch else tokens * tf.minimum(columns, 1)
    beyond = tf.pad(tokens, [[0, 0], [0, max_width]])
    ends = tf.stack([beyond[:, w : w + tf.shape(tokens)[1]] for w in range(max_width)], axis=2)
    valid = tf.reshape(tokens[:, :, None] * ends, [tf.shape(tokens)[0], -1])
    # A batch without tokens is computed as one column of padding.
    found = best_spans(
        outputs["span_logits"][:, : tf.shape(valid)[1]],
        valid,
        max_width=max_width,
        max_spans=max_spans,
    )
    return _in_characters(found, batch)


def labelled_spans(outputs: Tensors, batch: Tensors) -> dict[str, tf.Tensor]:
    """The likeliest label of each given span; keys as of `found_spans`."""
    shares = tf.nn.softmax(outputs["span_logits"])
    there = batch["span_starts"] >= 0
    found = {
        "scores": tf.where(there, tf.reduce_max(shares, axis=2), 0.0),
        "labels": tf.where(there, tf.argmax(shares, axis=2, output_type=tf.int32), -1),
        "starts": tf.maximum(batch["span_starts"], 0),
        "ends": tf.maximum(batch["span_ends"], 0),
    }
    return _in_characters(found, batch)


def _in_characters(found: dict[str, tf.Tensor], batch: Tensors) -> dict[str, tf.Tensor]:
    starts, ends = found["starts"], found["ends"]
    if "char_starts" in batch:
        starts = tf.gather(_one_more(batch["char_starts"]), starts, axis=1, batch_dims=1)
        ends = tf.gather(_one_more(batch["char_ends"]), ends, axis=1, batch_dims=1)
    else:
        ends = ends + 1
    there = found["labels"] >= 0
    return {**found, "starts": tf.where(there, starts, 0), "ends": tf.where(there, ends, 0)}


def _one_more(values: tf.Tensor) -> tf.Tensor:
    return tf.pad(values, [[0, 0], [0, 1]])
