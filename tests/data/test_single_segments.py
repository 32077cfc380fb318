"""Plans of rows of one segment: nothing lost, no sentence cut that fits, documents told apart."""

import numpy as np
from token_corpora import VOCABULARY, random_documents, write_shards

from keras_bert_suite.data.records import read_shards
from keras_bert_suite.data.single_segments import doc_sentences, full_sentences

SEP = 3


def _records(tmp_path, documents):
    write_shards(tmp_path, documents)
    return read_shards([str(next(tmp_path.iterdir()))], vocab_size=len(VOCABULARY))


def _texts(plan):
    return [
        plan.tokens[a:b].tolist()
        for a, b in zip(plan.a_starts.tolist(), plan.a_ends.tolist(), strict=True)
    ]


def test_doc_sentences_by_hand(tmp_path):
    # Rows hold 6 text tokens. Document 1: sentences of 3, 3, 2 | 5 ; document 2: one of 14.
    sentences = [[[5] * n for n in (3, 3, 2, 5)], [[6] * 14]]
    records = _records(tmp_path, list(enumerate(sentences)))
    plan = doc_sentences(records, sequence_length=8, seed=0, short_fraction=0.0)
    expected = [(0, 6), (6, 8), (8, 13), (13, 19), (19, 25), (25, 27)]
    assert list(zip(plan.a_starts.tolist(), plan.a_ends.tolist(), strict=True)) == expected
    assert (plan.b_starts == plan.b_ends).all() and not plan.labels


def test_doc_sentences_lose_nothing_and_cut_no_sentence_that_fits(tmp_path):
    records = _records(tmp_path, random_documents(100))
    plan = doc_sentences(records, sequence_length=32, seed=5, short_fraction=0.5)
    assert plan.a_starts[0] == 0 and plan.a_ends[-1] == len(records.tokens)
    np.testing.assert_array_equal(plan.a_ends[:-1], plan.a_starts[1:])
    assert (plan.a_ends - plan.a_starts).max() <= 30
    assert np.isin(plan.a_starts, records.sentence_starts).all()


def test_full_sentences_by_hand(tmp_path):
    # Rows hold 6 text tokens. Document 1 is in two records, which nothing parts.
    documents = [(1, [[5, 5], [6]]), (1, [[7]]), (2, [[8]]), (3, [[9, 9, 9, 9, 9]]), (4, [[10]])]
    plan = full_sentences(
        _records(tmp_path, documents),
        sequence_length=8,
        seed=0,
        short_fraction=0.0,
        separator_id=SEP,
    )
    # The separator after 8 falls on a row's end and is left out.
    assert _texts(plan) == [[5, 5, 6, 7, SEP, 8], [9, 9, 9, 9, 9], [10]]
    assert (plan.b_starts == plan.b_ends).all() and not plan.labels


def test_full_sentences_lose_nothing_and_part_all_documents(tmp_path):
    documents = random_documents(100)
    records = _records(tmp_path, documents)
    options = {"sequence_length": 32, "seed": 5, "short_fraction": 0.3}
    plan = full_sentences(records, separator_id=SEP, **options)
    text = [token for row in _texts(plan) for token in row]
    assert [token for token in text if token != SEP] == records.tokens.tolist()
    for row in _texts(plan):
        assert len(row) <= 30 and row[0] != SEP and row[-1] != SEP
    # Rows that cross documents are fewer than those that end with each of them.
    assert len(plan) < len(doc_sentences(records, **options)) - 20
    # The separators in rows and the ends of rows part the documents.
    ends = np.cumsum([sum(map(len, sentences)) for _, sentences in documents])
    found = set()
    position = 0
    for row in _texts(plan):
        for token in row:
            if token == SEP:
                found.add(position)
            else:
                position += 1
        found.add(position)
    assert set(ends.tolist()) <= found


def test_one_document_alone_has_no_separator(tmp_path):
    records = _records(tmp_path, [(1, [[5, 6], [7]])])
    plan = full_sentences(records, sequence_length=8, seed=0, short_fraction=0.0, separator_id=SEP)
    assert _texts(plan) == [[5, 6, 7]]
