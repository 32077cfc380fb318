"""Questions and contexts as rows in memory, and the rows' answers as those of the questions."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence

import numpy as np
import tensorflow as tf

from keras_bert_suite.data.bucketing import RaggedFeatures
from keras_bert_suite.tasks.graph.question_answering_windows import Windows, answer_columns, joined
from keras_bert_suite.tasks.squad_files import QuestionExample
from keras_bert_suite.text.tokenizer import Tokenizer

# Of one call that makes windows or joins them: bounds the memory, whatever the file.
_CHARACTERS_PER_CALL = 1_000_000
_EXAMPLES_PER_CALL = 512
_DECODED = ("span_scores", "span_starts", "span_ends", "null_scores")


def question_features(
    examples: Sequence[QuestionExample], tokenizer: Tokenizer, windows: Windows
) -> RaggedFeatures:
    """The windows of all questions, with the answers' columns where the answers are known.

    Returns:
      RaggedFeatures with the keys of `Windows.make` and, known by the first example, those of
      `answer_columns`.
    """
    known = bool(examples) and examples[0].answers is not None
    make = _window_maker(tokenizer, windows, with_answers=known)
    tokens: dict[str, list[np.ndarray]] = {}
    rows: dict[str, list[np.ndarray]] = {}
    lengths = []
    for start, part in _parts(examples):
        columns = [
            tf.constant([example.question for example in part]),
            tf.constant([example.context for example in part]),
        ]
        if known:
            columns.append(tf.constant([_target(example) for example in part], tf.int32))
        made = {key: value.numpy() for key, value in make(*columns).items()}
        real = made.pop("padding_mask") > 0
        lengths.append(real.sum(1).astype(np.int32))
        made["example_index"] += np.int32(start)
        for key, values in made.items():
            if values.ndim == 2:
                tokens.setdefault(key, []).append(values[real])
            else:
                rows.setdefault(key, []).append(values)
    whole = {key: np.concatenate(parts) for key, parts in rows.items()}
    return RaggedFeatures(
        tokens={key: np.concatenate(parts) for key, parts in tokens.items()},
        lengths=np.concatenate(lengths),
        example_index=whole.pop("example_index"),
        rows=whole,
        pad_values={"token_ids": tokenizer.pad_id},
    )


def join_rows(
    decoded: Mapping[str, np.ndarray], examples: Sequence[QuestionExample]
) -> Iterator[dict[str, np.ndarray]]:
    """Each example's part of what `question_answering_windows.joined` makes of decoded rows."""
    index = np.asarray(decoded["example_index"], np.int32)
    for start, part in _parts(examples):
        first, end = np.searchsorted(index, [start, start + len(part)])
        together = joined(
            {key: tf.constant(decoded[key][first:end]) for key in _DECODED},
            tf.constant(index[first:end] - np.int32(start)),
            num_examples=tf.constant(len(part)),
        )
        arrays = {key: value.numpy() for key, value in together.items()}
        for place in range(len(part)):
            yield {key: value[place] for key, value in arrays.items()}


def _parts(examples: Sequence[QuestionExample]) -> Iterator[tuple[int, Sequence[QuestionExample]]]:
    """The examples, some at a time, each time with the number of those before."""
    start = characters = 0
    for index, example in enumerate(examples):
        if index > start and (
            characters + len(example.context) > _CHARACTERS_PER_CALL
            or index - start == _EXAMPLES_PER_CALL
        ):
            yield start, examples[start:index]
            start, characters = index, 0
        characters += len(example.context)
    yield start, examples[start:]


def _target(example: QuestionExample) -> tuple[int, int]:
    if example.span is not None:
        return example.span
    return (-2, -2) if example.answers else (-1, -1)


@functools.lru_cache(maxsize=4)
def _window_maker(tokenizer: Tokenizer, windows: Windows, *, with_answers: bool):
    """A compiled function: questions, contexts and perhaps answers -> arrays of rows."""

    def make(questions, contexts, *answers):
        batch, context = windows.make(questions, contexts, tokenizer)
        for spans in answers:
            batch |= answer_columns(batch, context, spans[:, 0], spans[:, 1])
        return batch

    signature = [tf.TensorSpec([None], tf.string)] * 2
    if with_answers:
        signature.append(tf.TensorSpec([None, 2], tf.int32))
    return tf.function(make, input_signature=signature, autograph=False)
