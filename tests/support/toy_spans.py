"""Spans that a fresh tiny encoder learns in seconds: a kind's word, "old" or "new" before it."""

from __future__ import annotations

import json
import random

import toy_classification as toy


def texts(count, *, seed=0):
    """Returns [(text, [(start, end, label)])], with 0 to 2 spans a text."""
    rng = random.Random(seed)
    found = []
    for index in range(count):
        parts = [(word, None) for word in rng.choices(toy.FILLERS[:6], k=rng.randrange(1, 6))]
        for _ in range(index % 3):
            label = rng.choice(sorted(toy.WORDS))
            word = rng.choice(["", "old ", "new "]) + rng.choice(toy.WORDS[label])
            parts.insert(rng.randrange(len(parts) + 1), (word, label))
        text, spans = "", []
        for word, label in parts:
            if label:
                spans.append((len(text), len(text) + len(word), label))
            text += word + " "
        found.append((text.rstrip(), spans))
    return found


def write_lines(path, rows, **more):
    """Writes JSON lines; returns the path."""
    with open(path, "w", encoding="utf-8") as file:
        for text, spans in rows:
            listed = [{"start": s, "end": e, "label": label} for s, e, label in spans]
            file.write(json.dumps({"text": text, "spans": listed, **more}) + "\n")
    return path
