#!/usr/bin/env python3
"""Parts the pairs of MED and HELP (monotonicity inference) into those to learn and those to score.

    tests/support/monotonicity_split.py $KBS_DATA/nli_med nli/

Pairs that share a sentence stay together, and every fifth of these groups, by the order of the
files, is kept for scoring. Leaves train.tsv (both corpora), med.tsv and help.tsv (the parts to
score) with the columns sentence1, sentence2 and label, and prints how common each label is.
"""

import csv
import sys
from collections import Counter
from pathlib import Path

_FILES = {
    "MED.tsv": ("med", "sentence1", "sentence2"),
    "HELP_leskexppmb_and.tsv": ("help", "ori_sentence", "new_sentence"),
    "HELP_leskexppmb_or.tsv": ("help", "ori_sentence", "new_sentence"),
}


def read_pairs(folder):
    """(corpus, sentence 1, sentence 2, label) of all files."""
    for name, (corpus, first, second) in _FILES.items():
        with open(folder / name, encoding="utf-8", newline="") as stream:
            for row in csv.DictReader(stream, delimiter="\t", quoting=csv.QUOTE_NONE):
                yield corpus, row[first], row[second], row["gold_label"]


def group_of_each(pairs):
    """The first pair of each pair's group: the groups are the components that sentences join."""
    parents = {}

    def root(item):
        while parents.setdefault(item, item) != item:
            parents[item] = item = parents[parents[item]]
        return item

    for _, first, second, _ in pairs:
        parents[root(second)] = root(first)
    order = {}
    return [order.setdefault(root(first), len(order)) for _, first, _, _ in pairs]


if __name__ == "__main__":
    pairs, target = list(read_pairs(Path(sys.argv[1]))), Path(sys.argv[2])
    parts = {"train": [], "med": [], "help": []}
    for (corpus, *row), group in zip(pairs, group_of_each(pairs), strict=True):
        parts[corpus if group % 5 == 4 else "train"].append(row)
    target.mkdir(parents=True, exist_ok=True)
    for name, rows in parts.items():
        with open(target / f"{name}.tsv", "w", encoding="utf-8", newline="") as stream:
            lines = ["sentence1\tsentence2\tlabel", *("\t".join(row) for row in rows)]
            stream.write("\n".join(lines) + "\n")
        labels = Counter(row[-1] for row in rows)
        shares = ", ".join(f"{label} {n / len(rows):.1%}" for label, n in labels.most_common())
        print(f"{target / name}.tsv: {len(rows):,} pairs, {shares}")
