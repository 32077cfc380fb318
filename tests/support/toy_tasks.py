"""A toy file for every task that learns, of which a fresh tiny encoder learns in seconds."""

from __future__ import annotations

import toy_classification as toy
import toy_labeling
import toy_questions
import toy_spans

_KINDS = sorted(toy.WORDS)
_OPTIONS = {
    "cloze": {
        "pattern": "{text} of [MASK]",
        "verbalizer": [
            f"{kind}={'|'.join(words[:2])}" for kind, words in sorted(toy.WORDS.items())
        ],
    }
}


def make(name):
    """The task, not yet fitted."""
    from keras_bert_suite.tasks.task import Task

    return Task.from_options(name, _OPTIONS.get(name, {}))


def write(name, path, *, count):
    """Writes `count` examples of the task; returns the path, `path` with an ending."""
    return FILES[name](path, count)


def _texts(path, count):
    return toy.write_rows(path.with_suffix(".csv"), ["text", "label"], toy.texts(count))


def _numbers(path, count):
    rows = [(text, str(float(_KINDS.index(label)))) for text, label in toy.texts(count)]
    return toy.write_rows(path.with_suffix(".csv"), ["text", "label"], rows)


def _several_labels(path, count):
    rows = [(text, [kind, "living"][: 1 + (kind == "animal")]) for text, kind in toy.texts(count)]
    return toy.write_rows(path.with_suffix(".jsonl"), ["text", "labels"], rows)


def _choices(path, count):
    choices = [toy.WORDS[kind][0] for kind in _KINDS]
    rows = [(text, choices, _KINDS.index(label)) for text, label in toy.texts(count)]
    return toy.write_rows(path.with_suffix(".jsonl"), ["text", "choices", "label"], rows)


def _masked(path, count):
    rows = []
    for text, label in toy.texts(count):
        word = next(word for word in text.split() if word in toy.WORDS[label])
        rows.append((text.replace(word, "[MASK]", 1), word))
    return toy.write_rows(path.with_suffix(".csv"), ["text", "label"], rows)


def _alike(path, count):
    rows = [(a, b) for a, b, label in toy.pairs(2 * count) if label == "same"]
    return toy.write_rows(path.with_suffix(".csv"), ["text_a", "text_b"], rows)


FILES = {
    "classification": _texts,
    "cloze": _texts,
    "embedding": _alike,
    "fill_mask": _masked,
    "labeling": lambda path, count: toy_labeling.write_columns(
        path.with_suffix(".conll"), toy_labeling.sentences(count)
    ),
    "multilabel": _several_labels,
    "multiple_choice": _choices,
    "qa": lambda path, count: toy_questions.write_squad(
        path.with_suffix(".json"), toy_questions.questions(count)
    ),
    "regression": _numbers,
    "span": lambda path, count: toy_spans.write_lines(
        path.with_suffix(".jsonl"), toy_spans.texts(count)
    ),
}
