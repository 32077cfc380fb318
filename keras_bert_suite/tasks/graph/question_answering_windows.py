"""Windows over long contexts, and answers out of their windows: all of it inside the graph.

Prediction and the exported signature run these same functions.

Source: google-research/bert run_squad.py (windows, the rule of the maximum context, n-best).
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping

import tensorflow as tf

from keras_bert_suite.text.packing import values_at
from keras_bert_suite.text.tokenizer import Tokenizer

Tensors = Mapping[str, tf.Tensor]

# The score of what is no answer. Far below any score, and finite, so that sums and softmaxes are.
NO_ANSWER = -1e9
_NO_ANSWER_BELOW = -1e8
_MAX_CONTEXT, _OTHER_CONTEXT = 2, 1


@dataclasses.dataclass(frozen=True)
class Windows:
    """How a question and its context become rows.

    A row is `[CLS] question [SEP] part of the context [SEP]`. The parts begin every `stride`
    tokens and overlap; each answer of up to row length minus stride tokens is whole in one.

    Attributes:
      max_length: tokens of a row, special tokens included.
      max_question_tokens: what is longer is cut; never more than half of the row.
      stride: tokens from the beginning of one window to that of the next.
    """

    max_length: int
    max_question_tokens: int
    stride: int

    def make(
        self, questions: tf.Tensor, contexts: tf.Tensor, tokenizer: Tokenizer
    ) -> tuple[dict[str, tf.Tensor], dict[str, tf.Tensor]]:
        """The rows of all questions.

        Args:
          questions, contexts: string [examples], any bytes.
          tokenizer: the model's.

        Returns:
          (batch, context): `batch` has int32 [rows, length] `token_ids`, `segment_ids`,
          `padding_mask`, `char_starts` and `char_ends` (characters of the context, 0 outside it)
          and `answer_tokens` (0: not of the context; 1: an answer may end here; 2: start here too,
          for no other window shows more of what stands around the token), and int32 [rows]
          `example_index`, ascending. `context` has what `answer_columns` needs.
        """
        question_ids = tokenizer.ragged_ids(questions)[:, : self._question_budget(tokenizer)]
        ids, starts, ends = tokenizer.ragged_ids_and_offsets(contexts)
        room = self.max_length - _special(tokenizer) - _lengths(question_ids)
        example, first, length = self._parts(_lengths(ids), room)
        # Where the tokens of each row stand among those of all contexts.
        begin = tf.gather(tf.cast(ids.row_starts(), tf.int32), example) + first
        places = tf.ragged.range(begin, begin + length)
        rows = tokenizer.pack(tf.gather(question_ids, example), tf.gather(ids.flat_values, places))
        width = tf.shape(rows["token_ids"])[1]
        # The context is what stands before the last [SEP].
        column = tf.reduce_sum(rows["padding_mask"], 1) - 1 - length
        allowed = _answer_tokens(places, length, num_tokens=tf.size(ids.flat_values))
        batch = {
            **rows,
            "answer_tokens": values_at(column, allowed, width=width),
            "char_starts": values_at(column, tf.gather(starts.flat_values, places), width=width),
            "char_ends": values_at(column, tf.gather(ends.flat_values, places), width=width),
            "example_index": example,
        }
        context = {"first": first, "length": length, "column": column}
        return batch, {**context, "starts": starts, "ends": ends}

    def _question_budget(self, tokenizer: Tokenizer) -> int:
        return min(self.max_question_tokens, (self.max_length - _special(tokenizer)) // 2)

    def _parts(self, lengths: tf.Tensor, room: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor, tf.Tensor]:
        """int32 [rows] thrice: the example, the first token and the number of tokens of each."""
        stride = tf.minimum(self.stride, room)
        beyond = tf.maximum(lengths - room, 0)
        count = 1 + (beyond + stride - 1) // stride
        index = tf.ragged.range(count)
        example = tf.cast(index.value_rowids(), tf.int32)
        first = index.flat_values * tf.gather(stride, example)
        length = tf.minimum(tf.gather(room, example), tf.gather(lengths, example) - first)
        return example, first, length


def answer_columns(
    batch: Tensors, context: Mapping, answer_starts: tf.Tensor, answer_ends: tf.Tensor
) -> dict[str, tf.Tensor]:
    """Where each row has the answer.

    Args:
      batch, context: of `Windows.make`.
      answer_starts, answer_ends: int32 [examples], characters [start, end) of the context; start
        -1 for "no answer", -2 for "not known".

    Returns:
      {"start_positions", "end_positions"}: int32 [rows], columns, the last token's included; (0, 0)
      where the row has not the whole answer, (-1, -1) where it is not known or has no token.
    """
    first = tf.reduce_sum(tf.cast(context["ends"] <= answer_starts[:, None], tf.int32), axis=1)
    last = tf.reduce_sum(tf.cast(context["starts"] < answer_ends[:, None], tf.int32), axis=1) - 1
    unknown = (answer_starts == -2) | ((answer_starts >= 0) & (last < first))
    example = batch["example_index"]
    first, last, start = (tf.gather(x, example) for x in (first, last, answer_starts))
    here = (start >= 0) & (first >= context["first"])
    here &= last < context["first"] + context["length"]
    positions = {}
    for name, token in (("start_positions", first), ("end_positions", last)):
        column = tf.where(here, context["column"] + token - context["first"], 0)
        positions[name] = tf.where(tf.gather(unknown, example), -1, column)
    return positions


def candidates(
    outputs: Tensors, batch: Tensors, *, n_best: int, max_answer_tokens: int
) -> dict[str, tf.Tensor]:
    """The best answers of each row by the sum of their start and end logits.

    Every span of up to `max_answer_tokens` is considered; run_squad.py's n-best holds those of
    the 20 best starts with the 20 best ends alone.

    Args:
      outputs: "start_logits", "end_logits": float32 [rows, length].
      batch: of `Windows.make`; without `answer_tokens` the second segment (or, in a row of one
        segment, every token) may be an answer. Without `char_starts` offsets are columns.
      n_best: how many.
      max_answer_tokens: the longest answer.

    Returns:
      float32 [rows, n_best] `span_scores`, best first, NO_ANSWER or less where there are no more;
      int32 [rows, n_best] `span_starts`, `span_ends`: [start, end); float32 [rows] `null_scores`,
      the sum of the logits of [CLS].
    """
    start_logits, end_logits = outputs["start_logits"], outputs["end_logits"]
    allowed = batch["answer_tokens"] if "answer_tokens" in batch else _second_segment(batch)
    starts = tf.where(allowed == _MAX_CONTEXT, start_logits, NO_ANSWER)
    ends = tf.where(allowed > 0, end_logits, NO_ANSWER)
    length = tf.shape(starts)[1]
    # [rows, length, max_answer_tokens]: the span from a token to itself, the next, ...
    beyond = tf.range(length)[:, None] + tf.range(max_answer_tokens)[None, :]
    ends = tf.pad(ends, [[0, 0], [0, max_answer_tokens]], constant_values=NO_ANSWER)
    scores = starts[:, :, None] + tf.gather(ends, beyond, axis=1)
    scores = tf.reshape(scores, [tf.shape(scores)[0], length * max_answer_tokens])
    scores = tf.pad(scores, [[0, 0], [0, n_best]], constant_values=2 * NO_ANSWER)
    best, places = tf.math.top_k(scores, n_best)
    exists = best > _NO_ANSWER_BELOW
    first = tf.where(exists, places // max_answer_tokens, 0)
    last = tf.where(exists, first + places % max_answer_tokens, 0)
    if "char_starts" in batch:
        first = tf.gather(batch["char_starts"], first, axis=1, batch_dims=1)
        after = tf.gather(batch["char_ends"], last, axis=1, batch_dims=1)
    else:
        after = last + 1
    return {
        "span_scores": best,
        "span_starts": first,
        "span_ends": tf.where(exists, after, 0),
        "null_scores": start_logits[:, 0] + end_logits[:, 0],
    }


def joined(found: Tensors, example_index: tf.Tensor, *, num_examples: tf.Tensor) -> Tensors:
    """The best answers of each example over its windows.

    Args:
      found: of `candidates`.
      example_index: int32 [rows], ascending; every example has a row.
      num_examples: int32 scalar.

    Returns:
      The keys of `candidates` with [examples] in the place of [rows], the null score being the
      lowest of the windows', and float32 [examples] `null_odds`: the null score less the best
      answer's, which is 1e9 or more where there is no answer to give.
    """
    n_best = found["span_scores"].shape[1]

    def rows_of_examples(values, padding):
        ragged = tf.RaggedTensor.from_value_rowids(
            values, tf.cast(example_index, tf.int64), tf.cast(num_examples, tf.int64)
        )
        dense = ragged.to_tensor(default_value=padding)
        return tf.reshape(dense, [num_examples, tf.shape(dense)[1] * n_best])

    scores = rows_of_examples(found["span_scores"], 2 * NO_ANSWER)
    scores = tf.pad(scores, [[0, 0], [0, n_best]], constant_values=2 * NO_ANSWER)
    best, places = tf.math.top_k(scores, n_best)
    together = {"span_scores": best}
    for key in ("span_starts", "span_ends"):
        values = tf.pad(rows_of_examples(found[key], 0), [[0, 0], [0, n_best]])
        together[key] = tf.gather(values, places, axis=1, batch_dims=1)
    together["null_scores"] = tf.math.segment_min(found["null_scores"], example_index)
    together["null_odds"] = together["null_scores"] - best[:, 0]
    return together


def served(
    found: Tensors,
    batch: Tensors,
    contexts: tf.Tensor | None,
    *,
    null_threshold: float | None,
) -> dict[str, tf.Tensor]:
    """The answer of each example as flat tensors, for a signature.

    Args:
      found: of `candidates`.
      batch: the rows; without `example_index` each is an example.
      contexts: string [examples], which the offsets slice; None where offsets are columns.
      null_threshold: null odds beyond which there is no answer; None always has one if it can.

    Returns:
      "answer" string [examples] (not where `contexts` is None), float32 [examples] "score" (its
      probability among the n best and, with a threshold, "no answer"), "null_score",
      int32 [examples] "start" and "end", 0 where there is no answer.
    """
    rows = tf.shape(found["null_scores"])[0]
    index = batch.get("example_index", tf.range(rows))
    best = joined(found, index, num_examples=rows if contexts is None else tf.shape(contexts)[0])
    scores, odds = best["span_scores"], best["null_odds"]
    none = ~exists(scores[:, 0])
    with_null = none if null_threshold is None else tf.ones_like(none)
    null_logit = tf.where(with_null, best["null_scores"], NO_ANSWER)
    shares = tf.nn.softmax(tf.concat([null_logit[:, None], scores], axis=1))
    if null_threshold is not None:
        none |= odds > null_threshold
    start, end = (tf.where(none, 0, best[key][:, 0]) for key in ("span_starts", "span_ends"))
    answers = {
        "score": tf.where(none, shares[:, 0], shares[:, 1]),
        "start": start,
        "end": end,
        "null_score": shares[:, 0],
    }
    if contexts is not None:
        answers["answer"] = tf.strings.substr(contexts, start, end - start, unit="UTF8_CHAR")
    return answers


def exists(span_scores):
    """bool: which candidates are answers; of a tensor or an array."""
    return span_scores > _NO_ANSWER_BELOW


def _answer_tokens(
    places: tf.RaggedTensor, length: tf.Tensor, *, num_tokens: tf.Tensor
) -> tf.RaggedTensor:
    """int32 [rows, (tokens)]: 2 in the first of the rows with the maximum context, 1 elsewhere."""
    column = tf.ragged.range(length)
    row = tf.cast(places.value_rowids(), tf.int32)
    of_row = tf.gather(length, row)
    left, place = column.flat_values, places.flat_values
    # min(left, right) + 0.01 * length, in whole numbers: ties are ties.
    score = 100 * tf.minimum(left, of_row - 1 - left) + of_row
    highest = tf.math.unsorted_segment_max(score, place, num_tokens)
    many = tf.size(row)
    contender = tf.where(score == tf.gather(highest, place), row, many)
    winner = tf.math.unsorted_segment_min(contender, place, num_tokens)
    wins = tf.gather(winner, place) == row
    return places.with_flat_values(tf.where(wins, _MAX_CONTEXT, _OTHER_CONTEXT))


def _second_segment(batch: Tensors) -> tf.Tensor:
    segments = batch["segment_ids"] * batch["padding_mask"]
    pair = tf.reduce_max(segments, axis=1, keepdims=True) > 0
    return _MAX_CONTEXT * tf.where(pair, segments, batch["padding_mask"])


def _special(tokenizer: Tokenizer) -> int:
    return tokenizer.num_special_tokens(pair=True)


def _lengths(ragged: tf.RaggedTensor) -> tf.Tensor:
    return tf.cast(ragged.row_lengths(), tf.int32)
