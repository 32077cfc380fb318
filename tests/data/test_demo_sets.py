"""Data sets made of documents: splits without leaks, balance, the same bytes every time."""

from __future__ import annotations

import collections
import json

import pytest

from keras_bert_suite.data.demo_sets import (
    package_rows,
    pair_rows,
    split_of,
    write_demo_data,
)
from keras_bert_suite.data.docstrings import Document
from keras_bert_suite.files import atomic_write

_WORDS = "read write open close table row column sum mean graph node edge file line".split()


def _documents(package: str, count: int) -> list[Document]:
    """Documents whose summary and body name the same three words."""
    documents = []
    for index in range(count):
        a, b, c = (_WORDS[(index // 14**power) % 14] for power in range(3))
        text = (
            f"Makes {a} of the {b} and {c} that somebody in {package[0]} left.\n\n"
            f"What was {a} before is kept beside the {b}, so that {c} can be\ndone again later.\n\n"
            "Args:\n  x: a number.\n"
        )
        documents.append(Document(text=text, package=package, name=f"{package}.f{index}"))
    return documents


@pytest.fixture(scope="module")
def documents() -> list[Document]:
    return _documents("alpha", 300) + _documents("beta", 200) + _documents("gamma", 20)


def test_split_depends_on_the_first_paragraph_alone():
    one = Document(text="Opens 12 files.\n\nAll of them.", package="a", name="a")
    other = Document(text="Opens 7 files!\n\nSome.", package="b", name="b")
    assert split_of(one) == split_of(other)


def test_splits_have_their_shares(documents):
    counts = collections.Counter(split_of(document) for document in _documents("alpha", 2744))
    # 2,744 draws: three standard deviations are 0.025 at the most.
    assert counts["train"] / 2744 == pytest.approx(0.75, abs=0.025)
    assert counts["dev"] / 2744 == pytest.approx(0.08, abs=0.016)
    assert counts["test"] / 2744 == pytest.approx(0.17, abs=0.022)


def test_package_rows_are_balanced_and_of_their_split(documents):
    rows = package_rows(documents, num_packages=2, train_rows=50, seed=0)
    split_of_text = {
        " ".join(document.paragraphs[:2]): (split_of(document), document.package)
        for document in documents
    }
    for split, part in rows.items():
        counts = collections.Counter(label for _, label in part)
        assert counts["alpha"] == counts["beta"] > 0
        assert set(counts) == {"alpha", "beta"}  # the two with the most documents
        assert all(split_of_text[text] == (split, label) for text, label in part)
    assert len(rows["train"]) == 50


def test_openings_that_give_the_package_away_are_left_out(documents):
    telling = [
        Document(
            text=f"With Alpha one may {word} all the things there are.", package="alpha", name="x"
        )
        for word in _WORDS
    ]
    rows = package_rows([*telling, *documents], num_packages=2, train_rows=10**6, seed=0)
    assert not [text for part in rows.values() for text, _ in part if "Alpha" in text]


def test_documents_that_begin_alike_are_left_out(documents):
    twins = [
        Document(
            text=f"Base class of whatever is below this one here.\n\nTwin {i}.", package=p, name=p
        )
        for i, p in enumerate(["alpha", "beta"])
    ]
    rows = package_rows([*twins, *documents], num_packages=2, train_rows=10**6, seed=0)
    assert not [text for part in rows.values() for text, _ in part if "Base class" in text]


def test_too_few_packages_is_an_error(documents):
    with pytest.raises(
        ValueError, match=r"num_packages=4 needs .* Received: 3 \(alpha, beta, gamma"
    ):
        package_rows(documents, num_packages=4, train_rows=100, seed=0)


def test_pairs_match_or_come_from_the_same_package(documents):
    """The body of these documents names the words of its summary: a match can be read off."""
    package_of_summary = {document.paragraphs[0]: document.package for document in documents}
    rows = pair_rows(documents, seed=0)
    for part in rows.values():
        counts = collections.Counter(label for *_, label in part)
        assert abs(counts["match"] - counts["other"]) <= 3  # one a package
        for summary, body, label in part:
            assert summary in package_of_summary
            a, b, c = (summary.split()[index] for index in (1, 4, 6))
            belongs = body == (
                f"What was {a} before is kept beside the {b}, so that {c} can be done again later."
            )
            assert belongs == (label == "match")


def test_written_sets(documents, tmp_path):
    stats = write_demo_data(documents, tmp_path / "one", num_packages=2, train_rows=50, seed=3)
    write_demo_data(documents, tmp_path / "two", num_packages=2, train_rows=50, seed=3)
    files = sorted(p.relative_to(tmp_path / "one") for p in (tmp_path / "one").rglob("*.*"))
    assert [str(path) for path in files] == [
        *(f"package/{split}.tsv" for split in ("dev", "test", "train")),
        *(f"pairs/{split}.tsv" for split in ("dev", "test", "train")),
        "stats.json",
        *(f"text/{split}.jsonl" for split in ("dev", "test", "train")),
    ]
    for path in files:
        assert (tmp_path / "one" / path).read_bytes() == (tmp_path / "two" / path).read_bytes()

    assert json.loads((tmp_path / "one" / "stats.json").read_text()) == stats
    assert stats["package_labels"] == ["alpha", "beta"]
    assert sum(part["documents"] for part in stats["text"].values()) == len(documents)
    header, *rows = (tmp_path / "one/pairs/test.tsv").read_text().splitlines()
    assert header == "text_a\ttext_b\tlabel"
    assert len(rows) == stats["pairs"]["test"]
    assert all(row.count("\t") == 2 for row in rows)


def test_text_to_train_on_holds_nothing_of_the_other_splits(documents, tmp_path):
    write_demo_data(documents, tmp_path / "sets", num_packages=2, train_rows=50)
    train = (tmp_path / "sets/text/train.jsonl").read_text()
    texts = [json.loads(line)["text"] for line in train.splitlines()]
    openings = {" ".join(" ".join(text.split("\n\n")[:2]).split()) for text in texts}
    for split in ("dev", "test"):
        _, *rows = (tmp_path / f"sets/package/{split}.tsv").read_text().splitlines()
        assert rows and not openings & {row.split("\t")[0] for row in rows}


def test_a_directory_that_cannot_be_made_is_an_error(documents, tmp_path):
    with atomic_write(tmp_path / "file") as file:
        file.write("x")
    with pytest.raises(OSError, match="A part of this path is a file"):
        write_demo_data(documents, tmp_path / "file" / "sets", num_packages=2)
