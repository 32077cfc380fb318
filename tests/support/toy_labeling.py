"""Sentences that a fresh tiny encoder learns to tag: the words tell, and the word before tells."""

from __future__ import annotations

import toy_classification as toy

_KIND = {word: kind for kind, words in toy.WORDS.items() for word in words}


def sentences(count, *, seed=0):
    """Returns [(words, tags)]: a content word begins an entity, "red" behind it goes on with it."""
    found = []
    for text, _ in toy.texts(count, seed=seed):
        words, tags = text.split(), []
        for place, word in enumerate(words):
            before = tags[place - 1][2:] if place else ""
            if word in _KIND:
                tags.append(f"B-{_KIND[word]}")
            else:
                tags.append(f"I-{before}" if word == "red" and before else "O")
        found.append((words, tags))
    return found


def write_columns(path, sentences):
    """Writes words and tags in two columns; returns the path."""
    text = "\n".join(
        "".join(f"{word} {tag}\n" for word, tag in zip(words, tags, strict=True))
        for words, tags in sentences
    )
    path.write_text(text, encoding="utf-8")
    return path
