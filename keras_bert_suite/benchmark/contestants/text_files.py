"""Texts that the suites have written."""

from __future__ import annotations

import json


def read_texts(path):
    """Returns (texts, labels) of a .jsonl file whose lines have "text" and perhaps "label"."""
    with open(path, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    return [row["text"] for row in rows], [row.get("label") for row in rows]
