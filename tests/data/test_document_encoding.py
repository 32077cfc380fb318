"""Documents -> records: pieces of bounded length, and unknown tokens counted."""

import numpy as np
import pytest
import tensorflow as tf
from token_corpora import WORDS, tiny_tokenizer

from keras_bert_suite.data import document_encoding
from keras_bert_suite.data.blocks import read_blocks
from keras_bert_suite.data.document_encoding import DocumentEncoder, EncodingOptions
from keras_bert_suite.data.document_filters import REASONS, DocumentFilters
from keras_bert_suite.data.document_reading import TextForm, read_documents


@pytest.fixture(scope="module")
def tokenizer():
    return tiny_tokenizer()


def _encode(tokenizer, tmp_path, text, **options):
    """The one run of a text in one shard, and its records."""
    (tmp_path / "a.txt").write_text(text)
    encoder = DocumentEncoder(
        tokenizer, EncodingOptions(sentences="lines", num_shards=1, **options)
    )
    (run,) = encoder.encode(read_blocks(str(tmp_path / "a.txt"), form=TextForm())).values()
    ends = np.cumsum(run.record_sizes)
    return run, [
        bytes(run.payload[end - size : end])
        for size, end in zip(run.record_sizes, ends, strict=True)
    ]


def _values(record, feature):
    example = tf.train.Example.FromString(record)
    return list(example.features.feature[feature].int64_list.value)


def test_sentences_become_ids_of_their_document(tokenizer, tmp_path):
    # waa = 5, wab = 6, wba = 15; "waac" = waa ##c = 5, 47; "?" is unknown (1).
    run, (first, second) = _encode(tokenizer, tmp_path, "waa wab\nWAAC\n\n?\nwba")
    assert _values(first, "token_ids") == [5, 6, 5, 47]
    assert _values(first, "sentence_lengths") == [2, 2]
    assert _values(first, "document_id") == [int(run.parts["digest_low"][0]) >> 1]
    assert _values(second, "sentence_lengths") == [1, 1]
    assert run.parts["unknown_tokens"].tolist() == [0, 1]
    assert run.parts["line"].tolist() == [1, 4]
    assert run.sentence_lengths.tolist() == [2, 2, 1, 1]


def test_a_line_without_tokens_is_no_sentence(tokenizer, tmp_path):
    # U+0301 alone is an accent: the tokenizer strips it.
    run, records = _encode(tokenizer, tmp_path, "\u0301\nwaa\n\n\u0301")
    assert run.sentence_lengths.tolist() == [1]
    assert run.parts["num_records"].tolist() == [1, 0] and len(records) == 1


def test_long_documents_are_cut_at_sentences_and_keep_their_identity(
    tokenizer, tmp_path, monkeypatch
):
    monkeypatch.setattr(document_encoding, "MAX_RECORD_TOKENS", 4)
    # Sentences of 2, 2, 1, and 6 tokens; the last is longer than a record and is cut.
    _, records = _encode(tokenizer, tmp_path, "waa wab\nwac wad\nwae\nwaa wab wac wad wae waf")
    assert [_values(r, "sentence_lengths") for r in records] == [[2, 2], [1], [4], [2]]
    assert sum((_values(r, "token_ids") for r in records), []) == [
        *[5, 6, 7, 8, 9],
        *[5, 6, 7, 8, 9, 10],
    ]
    assert len({_values(r, "document_id")[0] for r in records}) == 1


def test_chunks_do_not_change_what_comes_out(tokenizer, tmp_path, monkeypatch):
    text = "\n\n".join(f"waa wab\n{word}" for word in WORDS)
    run, _ = _encode(tokenizer, tmp_path, text)
    monkeypatch.setattr(document_encoding, "_CHUNK_CHARACTERS", 30)
    again, _ = _encode(tokenizer, tmp_path, text)
    assert run.to_bytes() == again.to_bytes()


def test_a_filtered_document_leaves_its_reason_and_no_record(tokenizer, tmp_path):
    filters = DocumentFilters(min_characters=6)
    run, records = _encode(tokenizer, tmp_path, "waa\nwab\n\nwac\n\nwad wae", filters=filters)
    reasons = dict(zip(run.parts["line"].tolist(), run.parts["reason"].tolist(), strict=True))
    assert reasons == {1: 0, 4: 1 + REASONS.index("too_short"), 6: 0}
    assert len(records) == 2


def test_equal_texts_fall_into_one_shard(tokenizer, tmp_path):
    options = EncodingOptions(num_shards=5, eval_fraction=0.5)
    assert options.shard_counts == {"train": 5, "eval": 2}
    (tmp_path / "a.txt").write_text("\n\n".join([*WORDS, *WORDS]))
    shards = {}
    for document in read_documents(str(tmp_path / "a.txt")):
        name = options.shard_of(document)
        assert shards.setdefault(document.paragraphs, name) == name
    assert set(shards.values()) == set(options.shard_names) and len(options.shard_names) == 7
