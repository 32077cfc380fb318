#!/usr/bin/env python3
"""Parts one SQuAD file into questions to learn and questions to score, article by article.

    tests/support/squad_half.py $KBS_DATA/qa_squad2_dev_half/dev-v2.0.json half/

The articles are sorted by title and every fourth is kept for scoring: of SQuAD 2.0's dev half
(16 articles) 4,425 questions are left to learn and 1,653 to score. Leaves train.json and dev.json.
"""

import json
import sys
from pathlib import Path


def halves(content):
    """(to learn, to score): SQuAD JSON each."""
    articles = sorted(content["data"], key=lambda article: article["title"])
    parts = [[], []]
    for index, article in enumerate(articles):
        parts[index % 4 == 3].append(article)
    return [{**content, "data": part} for part in parts]


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    train, dev = halves(json.loads(Path(sys.argv[1]).read_text(encoding="utf-8")))
    for name, part in (("train", train), ("dev", dev)):
        (folder / f"{name}.json").write_text(json.dumps(part), encoding="utf-8")
        count = sum(len(p["qas"]) for article in part["data"] for p in article["paragraphs"])
        print(f"{folder / name}.json: {len(part['data'])} articles, {count:,} questions")
