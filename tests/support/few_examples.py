#!/usr/bin/env python3
"""A few examples of some classes of a CSV file, to learn from and to choose by; all to score on.

    tests/support/few_examples.py $KBS_DATA/cls_banking77 few/ age_limit,country_support 16

Takes train.csv and test.csv with the columns `text` and `category`. Leaves in the folder train.csv
and dev.csv, with so many examples of each class, drawn from train.csv (seed 0), and test.csv, with
all of these classes.
"""

import csv
import random
import sys
from pathlib import Path

_HEADER = ["text", "category"]


def rows_of(path, classes):
    """Class -> the rows of it in the file's order."""
    with open(path, encoding="utf-8", newline="") as file:
        rows = [[row[name] for name in _HEADER] for row in csv.DictReader(file)]
    found = {one: [row for row in rows if row[1] == one] for one in classes}
    missing = [one for one, members in found.items() if not members]
    if missing:
        raise SystemExit(f"{path} has no rows of {', '.join(missing)}.")
    return found


def parts(source, classes, count):
    """{"train", "dev", "test"}: rows each."""
    rng = random.Random(0)
    found = {"train": [], "dev": [], "test": []}
    for members in rows_of(source / "train.csv", classes).values():
        drawn = rng.sample(members, 2 * count)
        found["train"] += drawn[:count]
        found["dev"] += drawn[count:]
    for members in rows_of(source / "test.csv", classes).values():
        found["test"] += members
    return found


if __name__ == "__main__":
    folder = Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    made = parts(Path(sys.argv[1]), sys.argv[3].split(","), int(sys.argv[4]))
    for name, rows in made.items():
        with open(folder / f"{name}.csv", "w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([_HEADER, *rows])
        print(f"{folder / name}.csv: {len(rows)} examples")
