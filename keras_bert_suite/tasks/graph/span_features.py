"""Rows of texts whose spans get labels, and spans out of rows: inside the graph."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.bucketing import RaggedFeatures
from keras_bert_suite.tasks.span_files import SpanExample
from keras_bert_suite.text.packing import longest_first, values_at
from keras_bert_suite.text.tokenizer import Tokenizer

Tensors = Mapping[str, tf.Tensor]

_CHARACTERS_PER_CALL = 1_000_000
_EXAMPLES_PER_CALL = 1024
# "3-7, 12-20": characters [start, end) of candidates, as a client sends them.
_CANDIDATE = r"\d{1,9}-\d{1,9}"


def span_rows(
    texts: tf.Tensor, contexts: tf.Tensor | None, tokenizer: Tokenizer, *, max_length: int
) -> dict[str, tf.Tensor]:
    """`[CLS] text [SEP]`, or `[CLS] text [SEP] context [SEP]`; the longer one is cut first.

    Args:
      texts, contexts: string [batch].
      tokenizer: the model's.
      max_length: tokens of the longest row.

    Returns:
      int32 [batch, length] `token_ids`, `segment_ids`, `padding_mask`, `char_starts`, `char_ends`
      (characters of the text, 0 outside it) and `span_tokens` (1 for the tokens of the text); bool
      [batch] `cut`.
    """
    ids, starts, ends = tokenizer.ragged_ids_and_offsets(texts)
    context_ids = None if contexts is None else tokenizer.ragged_ids(contexts)
    rows = tokenizer.pack(ids, context_ids, max_length=max_length)
    length = tf.cast(ids.row_lengths(), tf.int32)
    whole = length + tokenizer.num_special_tokens(pair=contexts is not None)
    width = tf.shape(rows["token_ids"])[1]
    if context_ids is None:
        kept = tf.minimum(length, max_length - tokenizer.num_special_tokens())
    else:
        beside = tf.cast(context_ids.row_lengths(), tf.int32)
        budget = max_length - tokenizer.num_special_tokens(pair=True)
        kept = longest_first(length, beside, budget=budget)[0]
        whole += beside
    columns = tf.range(width)[None, :]
    inside = tf.cast((columns >= 1) & (columns <= kept[:, None]), tf.int32)
    shown = {
        name: inside * values_at(tf.ones_like(kept), values, width=width)
        for name, values in (("char_starts", starts), ("char_ends", ends))
    }
    return {
        **rows,
        **shown,
        "span_tokens": tf.cast(shown["char_ends"] > 0, tf.int32),
        "cut": whole > max_length,
    }


def span_columns(rows: Tensors, spans: tf.Tensor) -> dict[str, tf.Tensor]:
    """Columns of the tokens that spans of characters stand for.

    Args:
      rows: of `span_rows`.
      spans: int32 [batch, spans, 2], characters [start, end) of the text; -1 fills up.

    Returns:
      {"span_starts", "span_ends"}: int32 [batch, spans], the last token's column included; both -1
      for what fills up, has no token or is cut off. A span that ends inside a token has it whole.
    """
    start, end = spans[:, :, 0, None], spans[:, :, 1, None]
    real = rows["span_tokens"][:, None, :] > 0
    inside = real & (rows["char_ends"][:, None, :] > start)
    inside &= rows["char_starts"][:, None, :] < end
    columns = tf.range(tf.shape(inside)[2])
    first = tf.reduce_min(tf.where(inside, columns, tf.int32.max), axis=2)
    last = tf.reduce_max(tf.where(inside, columns, -1), axis=2)
    reach = tf.reduce_max(rows["char_ends"], axis=1)[:, None]
    there = (last >= 0) & (spans[:, :, 0] >= 0) & (spans[:, :, 0] < reach)
    # A span that goes on behind the cut is not the one that is left of it.
    there &= (spans[:, :, 1] <= reach) | ~rows["cut"][:, None]
    return {
        "span_starts": tf.where(there, first, -1),
        "span_ends": tf.where(there, last, -1),
    }


def parsed_candidates(texts: tf.Tensor) -> tf.Tensor:
    """int32 [batch, spans, 2] of strings such as "3-7, 12-20"; -1 fills up.

    What is no such pair is left out.
    """
    parts = tf.strings.split(tf.strings.regex_replace(texts, r"[,;\s]+", " "))
    kept = tf.ragged.boolean_mask(
        parts,
        parts.with_flat_values(tf.strings.regex_full_match(parts.flat_values, _CANDIDATE)),
    )
    numbers = tf.strings.split(kept.flat_values, "-")
    pairs = tf.reshape(tf.strings.to_number(numbers.flat_values, tf.int32), [-1, 2])
    columns = [kept.with_flat_values(pairs[:, side]).to_tensor(-1) for side in range(2)]
    return tf.stack(columns, axis=2)


def span_features(
    examples: Sequence[SpanExample],
    tokenizer: Tokenizer,
    *,
    label_ids: Mapping[str, int],
    given: bool,
    with_context: bool,
    max_length: int,
) -> RaggedFeatures:
    """The rows of examples; with the columns of their spans, where they are known.

    Args:
      examples: the texts.
      tokenizer: the model's.
      label_ids: label -> id.
      given: whether spans without a label are kept, to be given one.
      with_context: whether rows have the context.
      max_length: tokens of the longest row.
    """
    known = bool(examples) and examples[0].spans is not None
    width = max([1, *(len(example.spans or ()) for example in examples)])
    make = _row_maker(tokenizer, max_length=max_length, with_context=with_context)
    tokens: dict[str, list[np.ndarray]] = {}
    rows: dict[str, list[np.ndarray]] = {}
    lengths, cut = [], 0
    for part in _parts(examples):
        spans, labels = _targets(part, label_ids, width=width, given=given)
        made = {
            key: value.numpy()
            for key, value in make(
                tf.constant([example.text for example in part]),
                tf.constant([example.context for example in part]),
                tf.constant(spans),
            ).items()
        }
        real = made.pop("padding_mask") > 0
        lengths.append(real.sum(1).astype(np.int32))
        cut += int(made.pop("cut").sum())
        places = {key: made.pop(key) for key in ("span_starts", "span_ends")}
        for key, values in made.items():
            tokens.setdefault(key, []).append(values[real])
        if known:
            for key, values in {**places, "span_label_ids": labels}.items():
                rows.setdefault(key, []).append(values)
    return RaggedFeatures(
        tokens={key: np.concatenate(parts) for key, parts in tokens.items()},
        lengths=np.concatenate(lengths),
        rows={key: np.concatenate(parts) for key, parts in rows.items()},
        pad_values={"token_ids": tokenizer.pad_id},
        num_truncated=cut,
    )


def _parts(examples: Sequence[SpanExample]) -> Iterator[Sequence[SpanExample]]:
    """The examples, some at a time: bounds the memory, whatever the file."""
    start = characters = 0
    for index, example in enumerate(examples):
        full = characters + len(example.text) > _CHARACTERS_PER_CALL
        if index > start and (full or index - start == _EXAMPLES_PER_CALL):
            yield examples[start:index]
            start, characters = index, 0
        characters += len(example.text)
    yield examples[start:]


def _targets(
    examples: Sequence[SpanExample], label_ids: Mapping[str, int], *, width: int, given: bool
) -> tuple[np.ndarray, np.ndarray]:
    """int32 [examples, width, 2] characters and [examples, width] label ids, -1 where unknown."""
    spans = np.full([len(examples), width, 2], -1, np.int32)
    labels = np.full([len(examples), width], -1, np.int32)
    for row, example in enumerate(examples):
        seen: set[tuple[int, int]] = set()
        for column, span in enumerate(example.spans or ()):
            place = (span.start, span.end)
            # Enumerated, a span can learn one label, its first.
            if not given and (span.label is None or place in seen):
                continue
            seen.add(place)
            spans[row, column] = place
            labels[row, column] = -1 if span.label is None else label_ids[span.label]
    return spans, labels


@functools.lru_cache(maxsize=4)
def _row_maker(tokenizer: Tokenizer, *, max_length: int, with_context: bool):
    @tf.function(
        input_signature=[
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None], tf.string),
            tf.TensorSpec([None, None, 2], tf.int32),
        ],
        autograph=False,
    )
    def make(texts, contexts, spans):
        rows = span_rows(
            texts, contexts if with_context else None, tokenizer, max_length=max_length
        )
        return rows | span_columns(rows, spans)

    return make
