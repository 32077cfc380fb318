"""Documents -> records: pieces of bounded length, and unknown tokens counted."""

import pytest
import tensorflow as tf
from token_corpora import tiny_tokenizer

from keras_bert_suite.data import document_encoding
from keras_bert_suite.data.document_encoding import DocumentEncoder
from keras_bert_suite.data.documents import read_documents


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def _encode(tokenizer, tmp_path, text):
    (tmp_path / "a.txt").write_text(text)
    documents = list(read_documents(str(tmp_path / "a.txt")))
    return DocumentEncoder(tokenizer, mode="lines").encode(documents)


def _values(record, feature):
    example = tf.train.Example.FromString(record)
    return list(example.features.feature[feature].int64_list.value)


def test_sentences_become_ids_of_their_document(tokenizer, tmp_path):
    # waa = 5, wab = 6, wba = 15; "waac" = waa ##c = 5, 47; "?" is unknown (1).
    first, second = _encode(tokenizer, tmp_path, "waa wab\nWAAC\n\n?\nwba")
    (record,) = first.records
    assert _values(record, "token_ids") == [5, 6, 5, 47]
    assert _values(record, "sentence_lengths") == [2, 2]
    assert _values(record, "document_id") == [first.document_id]
    assert (first.unknown_tokens, second.unknown_tokens) == (0, 1)
    assert second.sentence_lengths == [1, 1]


def test_a_line_without_tokens_is_no_sentence(tokenizer, tmp_path):
    # U+0301 alone is an accent: the tokenizer strips it.
    first, second = _encode(tokenizer, tmp_path, "\u0301\nwaa\n\n\u0301")
    assert first.sentence_lengths == [1]
    assert (second.records, second.sentence_lengths) == ([], [])


def test_long_documents_are_cut_at_sentences_and_keep_their_identity(
    tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(document_encoding, "MAX_RECORD_TOKENS", 4)
    # Sentences of 2, 2, 1, and 6 tokens; the last is longer than a record and is cut.
    (part,) = _encode(tokenizer, tmp_path, "waa wab\nwac wad\nwae\nwaa wab wac wad wae waf")
    assert [_values(r, "sentence_lengths") for r in part.records] == [[2, 2], [1], [4], [2]]
    assert sum((_values(r, "token_ids") for r in part.records), []) == [
        *[5, 6, 7, 8, 9],
        *[5, 6, 7, 8, 9, 10],
    ]
    assert {_values(r, "document_id")[0] for r in part.records} == {part.document_id}
