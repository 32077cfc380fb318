"""Making a record directory: the same bytes from any number of workers, whole or not at all."""

import functools
import json
import os
import random
from pathlib import Path

import pytest
from token_corpora import VOCABULARY, WORDS

from keras_bert_suite.data import blocks, record_making
from keras_bert_suite.data.documents import expand_files
from keras_bert_suite.data.record_making import default_shards, default_workers, make_records
from keras_bert_suite.data.records import read_shards
from keras_bert_suite.text.tokenizer import Tokenizer


@pytest.fixture(scope="module")
def make_tokenizer(tmp_path_factory):
    directory = tmp_path_factory.mktemp("tokenizer")
    Tokenizer(VOCABULARY).save(directory)
    return functools.partial(Tokenizer.from_directory, directory)


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    """200 documents in three files, about 40 kB."""
    directory = tmp_path_factory.mktemp("corpus")
    rng = random.Random(1)
    for name in ("a.txt", "b.txt", "c.txt"):
        documents = [
            "\n".join(
                " ".join(rng.choices(WORDS, k=rng.randint(1, 15))) + "."
                for _ in range(rng.randint(1, 8))
            )
            for _ in range(67)
        ]
        (directory / name).write_text("\n\n".join(documents))
    return f"{directory}/*.txt"


def _files(directory):
    return {path.name: path.read_bytes() for path in Path(directory).iterdir()}


def test_any_number_of_workers_writes_the_same_bytes(corpus, make_tokenizer, tmp_path, monkeypatch):
    # Small blocks, so that four workers overtake one another.
    monkeypatch.setattr(blocks, "BLOCK_BYTES", 2000)
    monkeypatch.setattr(record_making, "BLOCK_BYTES", 2000)
    common = {"make_tokenizer": make_tokenizer, "num_shards": 3, "eval_fraction": 0.1}
    stats = make_records(corpus, output_dir=tmp_path / "one", workers=1, **common)
    make_records(corpus, output_dir=tmp_path / "four", workers=4, **common)
    assert _files(tmp_path / "one") == _files(tmp_path / "four")
    assert sorted(_files(tmp_path / "one")) == [
        "eval-00000-of-00001.tfrecord",
        "stats.json",
        *(f"train-0000{i}-of-00003.tfrecord" for i in range(3)),
    ]
    assert json.loads((tmp_path / "one" / "stats.json").read_text()) == stats
    # Nothing is lost, and the held-out documents are others than those trained on.
    assert stats["train"]["documents"] + stats["eval"]["documents"] == 201
    assert 5 <= stats["eval"]["documents"] <= 40
    read = {
        split: read_shards(sorted(map(str, (tmp_path / "one").glob(f"{split}-*"))), vocab_size=99)
        for split in ("train", "eval")
    }
    assert {split: len(r.tokens) for split, r in read.items()} == {
        split: stats[split]["tokens"] for split in read
    }
    assert not set(read["train"].document_ids) & set(read["eval"].document_ids)


def test_a_record_directory_is_not_replaced_unless_told(corpus, make_tokenizer, tmp_path):
    output = tmp_path / "records"
    make_records(corpus, make_tokenizer=make_tokenizer, output_dir=output, num_shards=2)
    before = _files(output)
    with pytest.raises(ValueError, match=f"{output} holds the records of another run.*--overwrite"):
        make_records(corpus, make_tokenizer=make_tokenizer, output_dir=output)
    assert _files(output) == before
    make_records(
        corpus, make_tokenizer=make_tokenizer, output_dir=output, num_shards=1, overwrite=True
    )
    assert sorted(_files(output)) == ["stats.json", "train-00000-of-00001.tfrecord"]


def test_a_directory_with_other_files_is_never_replaced(corpus, make_tokenizer, tmp_path):
    (tmp_path / "thesis.tex").touch()
    with pytest.raises(ValueError, match=r"holds files that are no token records \(thesis.tex"):
        make_records(corpus, make_tokenizer=make_tokenizer, output_dir=tmp_path, overwrite=True)
    with pytest.raises(ValueError, match="output_dir must be a directory"):
        make_records(corpus, make_tokenizer=make_tokenizer, output_dir=tmp_path / "thesis.tex")


@pytest.mark.parametrize("workers", [1, 2])
def test_bad_input_in_the_middle_leaves_what_was_there(corpus, make_tokenizer, tmp_path, workers):
    output = tmp_path / "records"
    make_records(corpus, make_tokenizer=make_tokenizer, output_dir=output)
    before = _files(output)
    (tmp_path / "z.txt").write_bytes(b"good\n\nbad \xff")
    with pytest.raises(ValueError, match="z.txt, line 3: the text must be UTF-8"):
        make_records(
            f"{corpus},{tmp_path}/z.txt",
            make_tokenizer=make_tokenizer,
            output_dir=output,
            workers=workers,
            overwrite=True,
        )
    assert _files(output) == before
    assert sorted(p.name for p in tmp_path.iterdir()) == ["records", "z.txt"]


class _DiesInWorkers:
    """Makes a tokenizer in the process that made this, and ends any other."""

    def __init__(self, make_tokenizer):
        self._make_tokenizer = make_tokenizer
        self._home = os.getpid()

    def __call__(self):
        if os.getpid() != self._home:
            os._exit(3)
        return self._make_tokenizer()


def test_a_dead_worker_is_an_error_not_a_hang(corpus, make_tokenizer, tmp_path):
    with pytest.raises(ChildProcessError, match="A worker process died.*--workers=1"):
        make_records(
            corpus,
            make_tokenizer=_DiesInWorkers(make_tokenizer),
            output_dir=tmp_path / "records",
            workers=2,
        )
    # What is done is kept for another run, which leaves nothing but the records.
    assert [path.name for path in (tmp_path / "records").iterdir()] == ["in_progress"]
    make_records(corpus, make_tokenizer=make_tokenizer, output_dir=tmp_path / "records")
    assert not (tmp_path / "records" / "in_progress").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"num_shards": 0}, r"num_shards must be in \[1, 99999\]. Received: 0"),
        ({"workers": 0}, "workers must be at least 1. Received: 0"),
        (
            {"sentences": "words"},
            "sentences must be one of split, .*lines. Received: 'words'",
        ),
        ({"eval_fraction": 1.0}, r"eval_fraction must be in \[0, 1\). Received: 1.0"),
    ],
)
def test_wrong_options_are_named(corpus, make_tokenizer, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        make_records(corpus, make_tokenizer=make_tokenizer, output_dir=tmp_path / "out", **options)
    assert not list(tmp_path.iterdir())


def test_a_split_without_documents_is_an_error(make_tokenizer, tmp_path):
    (tmp_path / "a.txt").write_text("waa wab.")
    for fraction, split in ((1e-9, "eval"), (1 - 1e-9, "train")):
        with pytest.raises(ValueError, match=f"No document with text for the {split} records"):
            make_records(
                str(tmp_path / "a.txt"),
                make_tokenizer=make_tokenizer,
                output_dir=tmp_path / "out",
                eval_fraction=fraction,
            )
    (tmp_path / "a.txt").write_text("\u0301")
    with pytest.raises(ValueError, match="gave 0 records"):
        make_records(
            str(tmp_path / "a.txt"), make_tokenizer=make_tokenizer, output_dir=tmp_path / "out"
        )


def test_small_corpora_take_one_worker_and_eight_shards(corpus):
    size = sum(os.path.getsize(file) for file in expand_files(corpus))
    assert (default_workers(size), default_shards(size)) == (1, 8)
    assert default_workers(40_000_000) == min(2, len(os.sched_getaffinity(0)))
    assert default_shards(800_000_000) == 12
