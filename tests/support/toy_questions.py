"""Questions that a fresh tiny encoder learns in seconds: which animal is there?"""

from __future__ import annotations

import json
import random

import toy_classification as toy

QUESTION = "some of the cat"


def questions(count, *, seed=0, longest=10):
    """Returns [(question, context, start or None, answer)].

    Every question asks for the animal of a context that has a food too; in every
    third context there is no animal.
    """
    rng = random.Random(seed)
    found = []
    for index in range(count):
        words = rng.choices(toy.FILLERS, k=rng.randrange(1, longest))
        words.insert(rng.randrange(len(words) + 1), rng.choice(toy.WORDS["food"]))
        if index % 3 == 0:
            found.append((QUESTION, " ".join(words), None, ""))
            continue
        place = rng.randrange(len(words) + 1)
        words.insert(place, rng.choice(toy.WORDS["animal"]))
        found.append((QUESTION, " ".join(words), len(" ".join([*words[:place], ""])), words[place]))
    return found


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
