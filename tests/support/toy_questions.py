"""Questions that a fresh tiny encoder learns in seconds: which animal, food or tool is there?"""

from __future__ import annotations

import json
import random

import toy_classification as toy


def questions(count, *, seed=0, unanswerable=True, longest=10):
    """Returns [(question, context, start or None, answer)].

    A context has a word of one or two kinds; the question names a kind. Every third question asks,
    if `unanswerable`, for a kind that is not there.
    """
    rng = random.Random(seed)
    kinds = sorted(toy.WORDS)
    found = []
    for index in range(count):
        here = rng.sample(kinds, 2)
        missing = next(kind for kind in kinds if kind not in here)
        words = rng.choices(toy.FILLERS, k=rng.randrange(1, longest))
        for kind in here:
            words.insert(rng.randrange(len(words) + 1), rng.choice(toy.WORDS[kind]))
        context = " ".join(words)
        if unanswerable and index % 3 == 0:
            found.append((_question(missing), context, None, ""))
            continue
        place = next(i for i, word in enumerate(words) if word in toy.WORDS[here[0]])
        start = len(" ".join([*words[:place], ""]))
        found.append((_question(here[0]), context, start, words[place]))
    return found


def _question(kind):
    # The vocabulary has no names of kinds: the first of a kind's words stands for it.
    return f"some of the {toy.WORDS[kind][0]}"


def write_squad(path, rows, *, version="v2.0"):
    """Writes SQuAD's JSON, one paragraph a question; returns the path."""
    paragraphs = [
        {
            "context": context,
            "qas": [
                {
                    "id": f"q{index}",
                    "question": question,
                    "answers": [] if start is None else [{"text": answer, "answer_start": start}],
                    "is_impossible": start is None,
                }
            ],
        }
        for index, (question, context, start, answer) in enumerate(rows)
    ]
    content = {"version": version, "data": [{"title": "toy", "paragraphs": paragraphs}]}
    path.write_text(json.dumps(content), encoding="utf-8")
    return path
