"""Data sets made of docstrings: raw text, "which package is this from", "do these two belong".

Every document is in one split, in all sets: pre-training text never holds a document, nor another
one that begins with the same paragraph, of the dev or test rows. The rows of `train` may come from
documents that are pre-training text too (their labels are not in it), as in practice.
"""

from __future__ import annotations

import collections
import hashlib
import itertools
import json
import random
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from keras_bert_suite.data.docstrings import Document, fingerprint
from keras_bert_suite.files import atomic_directory

SPLITS = ("train", "dev", "test")
_DEV_BELOW, _TRAIN_FROM = 0.08, 0.25  # 8 % dev, 17 % test, 75 % train

_OPENING_WORDS = (8, 60)
_BODY_CHARACTERS = (60, 400)
_SECTION = re.compile(
    r"^(args?|arguments|parameters|returns?|raises|yields|examples?|notes?)\b:?", re.I
)


def split_of(document: Document) -> str:
    """The split of a document: a hash of its first paragraph decides, so any order gives the same.

    Documents that begin alike ("Base class for all layers.") are in the same split.
    """
    digest = hashlib.sha256(fingerprint(document.paragraphs[0]).encode()).digest()
    draw = int.from_bytes(digest[:8], "big") / 2**64
    if draw < _DEV_BELOW:
        return "dev"
    return "test" if draw < _TRAIN_FROM else "train"


def package_rows(
    documents: Sequence[Document], *, num_packages: int, train_rows: int, seed: int
) -> dict[str, list[tuple[str, str]]]:
    """Rows (opening, package) of the packages that have the most documents.

    Openings that name their package are left out, and so are the documents that begin with the same
    paragraph as another one. In every split each package has the same number of rows, so that the
    majority class is 1 / num_packages.

    Args:
      documents: all of them.
      num_packages: how many classes.
      train_rows: at most so many rows to train on, over all classes; dev and test are as large
        as the smallest class allows.
      seed: of the choice and the order.

    Returns:
      split -> rows.

    Raises:
      ValueError: fewer than `num_packages` packages have rows in every split.
    """
    counts = collections.Counter(fingerprint(document.paragraphs[0]) for document in documents)
    found: dict[str, dict[str, list[str]]] = collections.defaultdict(
        lambda: {split: [] for split in SPLITS}
    )
    for document in documents:
        text = _opening(document)
        first = fingerprint(document.paragraphs[0])
        if counts[first] == 1 and _says_something(text, document.package):
            found[document.package][split_of(document)].append(text)
    usable = {name: rows for name, rows in found.items() if all(rows.values())}
    if len(usable) < num_packages:
        raise ValueError(
            f"num_packages={num_packages} needs as many packages with documentation. "
            f"Received: {len(usable)} ({', '.join(sorted(usable)) or 'none'})."
        )
    largest = sorted(usable, key=lambda name: (-sum(map(len, usable[name].values())), name))
    generator = random.Random(seed)
    return {
        split: _balanced(
            {name: usable[name][split] for name in largest[:num_packages]},
            limit=train_rows // num_packages if split == "train" else None,
            generator=generator,
        )
        for split in SPLITS
    }


def pair_rows(documents: Sequence[Document], *, seed: int) -> dict[str, list[tuple[str, str, str]]]:
    """Rows (summary, body, "match" or "other"): does this body belong to this summary?

    Half of the bodies are another document's, of the same package and split: the topic alone
    does not tell.
    """
    groups: dict[tuple[str, str], list[tuple[str, str]]] = collections.defaultdict(list)
    for document in documents:
        pair = _summary_and_body(document)
        if pair:
            groups[split_of(document), document.package].append(pair)
    generator = random.Random(seed)
    rows: dict[str, list[tuple[str, str, str]]] = {split: [] for split in SPLITS}
    for (split, _), pairs in sorted(groups.items()):
        if len(pairs) < 4:
            continue  # too few bodies to exchange
        generator.shuffle(pairs)
        half = len(pairs) // 2
        rows[split] += [(summary, body, "match") for summary, body in pairs[half:]]
        # Each of the first half gets its neighbour's body.
        moved = [body for _, body in pairs[1:half] + pairs[:1]]
        rows[split] += [
            (summary, body, "other") for (summary, _), body in zip(pairs[:half], moved, strict=True)
        ]
    for split in SPLITS:
        generator.shuffle(rows[split])
    return rows


def write_demo_data(
    documents: Sequence[Document],
    output_dir: str | Path,
    *,
    num_packages: int = 6,
    train_rows: int = 1000,
    seed: int = 0,
) -> dict:
    """Writes text/, package/ and pairs/, each in train, dev and test, and stats.json.

    Text is JSON lines ("text", "package", "name"); rows are TSV with a header (`text` or `text_a`
    and `text_b`, and `label`). The directory appears whole; the same documents give the same bytes.

    Returns:
      What stats.json holds: documents, characters and rows of each file.
    """
    rows = package_rows(documents, num_packages=num_packages, train_rows=train_rows, seed=seed)
    pairs = pair_rows(documents, seed=seed)
    by_split: dict[str, list[Document]] = {split: [] for split in SPLITS}
    for document in documents:
        by_split[split_of(document)].append(document)
    stats = {
        "text": {
            split: {
                "documents": len(by_split[split]),
                "characters": sum(len(document.text) for document in by_split[split]),
            }
            for split in SPLITS
        },
        "package": {split: len(rows[split]) for split in SPLITS},
        "package_labels": sorted({label for _, label in rows["test"]}),
        "pairs": {split: len(pairs[split]) for split in SPLITS},
    }
    with atomic_directory(output_dir) as directory:
        for split in SPLITS:
            lines = [
                json.dumps({"text": item.text, "package": item.package, "name": item.name})
                for item in by_split[split]
            ]
            _write_lines(directory / "text" / f"{split}.jsonl", lines)
            _write_table(directory / "package" / f"{split}.tsv", ("text", "label"), rows[split])
            _write_table(
                directory / "pairs" / f"{split}.tsv", ("text_a", "text_b", "label"), pairs[split]
            )
        _write_lines(directory / "stats.json", [json.dumps(stats, indent=2)])
    return stats


def _opening(document: Document) -> str:
    """The prose before the first section (Args: ...), cut after some words."""
    prose = itertools.takewhile(lambda part: not _SECTION.match(part), document.paragraphs)
    return " ".join(" ".join(prose).split()[: _OPENING_WORDS[1]])


def _says_something(text: str, package: str) -> bool:
    if len(text.split()) < _OPENING_WORDS[0]:
        return False
    return package.strip("_").lower() not in text.lower()


def _balanced(
    texts: dict[str, list[str]], *, limit: int | None, generator: random.Random
) -> list[tuple[str, str]]:
    """Equally many rows of each label, shuffled."""
    count = min(map(len, texts.values()))
    count = count if limit is None else min(count, limit)
    rows = [
        (text, label) for label in sorted(texts) for text in generator.sample(texts[label], count)
    ]
    generator.shuffle(rows)
    return rows


def _summary_and_body(document: Document) -> tuple[str, str] | None:
    summary, *rest = document.paragraphs
    prose = [part for part in rest if not _SECTION.match(part)]
    low, high = _BODY_CHARACTERS
    body = " ".join(prose)
    if len(body) > high:
        body = body[:high].rsplit(" ", 1)[0]
    if len(body) < low or not low // 2 <= len(summary) <= high or _SECTION.match(summary):
        return None
    return summary, body


def _write_table(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    # Cells hold single spaces alone (Document.paragraphs), so no tab needs quoting.
    _write_lines(path, ["\t".join(row) for row in (header, *rows)])


def _write_lines(path: Path, lines: Iterable[str]) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
