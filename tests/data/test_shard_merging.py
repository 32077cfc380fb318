"""Merging: one order for any runs, duplicates by the whole text, figures of what is kept."""

import random

import pytest

from keras_bert_suite.data import documents
from keras_bert_suite.data.documents import document_parts
from keras_bert_suite.data.encoded_runs import EncodedRun, RunBuilder
from keras_bert_suite.data.records import encode_record, read_shards
from keras_bert_suite.data.shard_merging import write_merged


def _documents(texts, file=0):
    line = 1
    for text in texts:
        lines = text.split("\n")
        yield list(document_parts(enumerate(lines, line), path="a", file=file, joined=False))
        line += len(lines)


def _add(builder, part, **options):
    """One sentence a line, each of its length in tokens; the first character is the id."""
    sentences = [[ord(line[0]) - 90] * len(line) for line in part.paragraphs]
    record = encode_record(
        document_id=part.document_id,
        token_ids=sum(sentences, []),
        sentence_lengths=[len(sentence) for sentence in sentences],
    )
    builder.add(
        part,
        sentence_lengths=[len(sentence) for sentence in sentences],
        records=[record],
        unknown_tokens=1,
        **options,
    )


def _run(parts):
    builder = RunBuilder()
    for part in parts:
        _add(builder, part)
    return builder.build()


def _merged(tmp_path, runs, **options):
    path = tmp_path / "shard"
    statistics = write_merged(path, runs, deduplicate=options.get("deduplicate", False))
    return path.read_bytes(), statistics.summary()


def test_a_run_survives_its_bytes():
    run = _run([part for parts in _documents(["ab\nc", "d"]) for part in parts])
    again = EncodedRun.from_bytes(run.to_bytes())
    assert again.to_bytes() == run.to_bytes()
    assert bytes(again.payload) == run.payload and again.parts["line"].tolist() == [1, 3]
    with pytest.raises(ValueError, match="An encoded run has"):
        EncodedRun.from_bytes(run.to_bytes()[:-1])


@pytest.mark.parametrize("deduplicate", [False, True])
def test_how_documents_are_cut_into_runs_changes_nothing(tmp_path, monkeypatch, deduplicate):
    monkeypatch.setattr(documents, "PART_CHARACTERS", 6)
    rng = random.Random(0)
    texts = ["\n".join(rng.choices("abcde", k=rng.randint(1, 9))) for _ in range(50)]
    parts = [part for file in (0, 1) for parts in _documents(texts, file) for part in parts]
    assert len({part.first for part in parts}) == 2
    bytes_and_figures = []
    for _ in range(4):
        runs = [[] for _ in range(rng.randint(1, 5))]
        for part in parts:
            rng.choice(runs).append(part)
        bytes_and_figures.append(
            _merged(tmp_path, [_run(run) for run in runs], deduplicate=deduplicate)
        )
        rng.shuffle(parts)
    assert all(one == bytes_and_figures[0] for one in bytes_and_figures)
    figures = bytes_and_figures[0][1]
    different = len(set(texts))
    assert figures["documents"] == (different if deduplicate else 100)
    assert figures["dropped_documents"] == ({"duplicate": 100 - different} if deduplicate else {})


def test_documents_that_only_begin_alike_are_no_duplicates(tmp_path, monkeypatch):
    monkeypatch.setattr(documents, "PART_CHARACTERS", 2)
    texts = ["aa\nbb\nc", "aa\nbb\nd", "aa\nbb\nc", "aa\nbb", "aa"]
    parts = [part for parts in _documents(texts) for part in parts]
    _, figures = _merged(tmp_path, [_run(parts)], deduplicate=True)
    assert figures["documents"] == 4 and figures["dropped_documents"] == {"duplicate": 1}
    # Parts stay in the order of their document, records of a document together.
    read = read_shards([str(tmp_path / "shard")], vocab_size=99)
    tokens = [
        read.tokens[read.sentence_starts[a] : read.sentence_starts[b]].tolist()
        for a, b in zip(read.record_starts, read.record_starts[1:], strict=False)
    ]
    assert tokens == [
        *[[7, 7], [8, 8], [9]],
        *[[7, 7], [8, 8], [10]],
        *[[7, 7], [8, 8]],
        [7, 7],
    ]


def test_figures_are_of_the_kept_documents(tmp_path):
    builder = RunBuilder()
    ((one,), (two,), (three,), (four,)) = _documents(["abc\nd", "x", "abc\nd", "efgh"])
    _add(builder, one)
    _add(builder, three)
    _add(builder, four)
    builder.add(two, reason="too_short")
    _, figures = _merged(tmp_path, [builder.build()], deduplicate=True)
    assert figures["dropped_documents"] == {"duplicate": 1, "too_short": 1}
    assert (figures["documents"], figures["records"], figures["sentences"]) == (2, 2, 3)
    assert figures["tokens"] == 8 and figures["unknown_token_rate"] == 2 / 8
    assert figures["tokens_per_sentence"]["max"] == 4
    assert figures["tokens_per_document"]["percentiles"]["50"] == 4


def test_a_shard_without_documents_is_an_empty_file(tmp_path):
    data, figures = _merged(tmp_path, [])
    assert data == b"" and figures["documents"] == 0
