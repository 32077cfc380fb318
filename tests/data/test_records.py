"""Token records: what is written is read, and what is damaged is named."""

import errno
import json
import re

import numpy as np
import pytest
import tensorflow as tf
from token_corpora import VOCABULARY, tiny_tokenizer, write_shards

from keras_bert_suite.data import records

V = len(VOCABULARY)


def test_shard_names_sort_in_their_order():
    assert records.shard_name("train", 3, 16) == "train-00003-of-00016.tfrecord"


def test_records_come_back_as_flat_arrays(tmp_path):
    write_shards(tmp_path, [(7, [[5, 6], [8]]), (9, [[10]]), (2**63 - 1, [[11, 12]])], num_shards=2)
    (tmp_path / "train-00002.tfrecord").touch()  # A shard that no document fell into.
    read = records.read_shards(sorted(map(str, tmp_path.iterdir())), vocab_size=V)
    # Shard 0 holds the first and the third document, shard 1 the second.
    np.testing.assert_array_equal(read.tokens, [5, 6, 8, 11, 12, 10])
    np.testing.assert_array_equal(read.sentence_starts, [0, 2, 3, 5, 6])
    np.testing.assert_array_equal(read.record_starts, [0, 2, 3, 4])
    np.testing.assert_array_equal(read.document_ids, [7, 2**63 - 1, 9])
    assert read.tokens.dtype == np.int32


def test_tokens_are_counted_over_shards(tmp_path):
    write_shards(tmp_path, [(1, [[5, 6, 5]]), (2, [[6]])], num_shards=2)
    counts = records.count_tokens(sorted(map(str, tmp_path.iterdir())), vocab_size=V)
    assert counts[5] == 2 and counts[6] == 2 and counts.sum() == 4 and counts.shape == (V,)


def _bytes(**features):
    example = tf.train.Example()
    for name, values in features.items():
        example.features.feature[name].int64_list.value.extend(values)
    return example.SerializeToString()


@pytest.mark.parametrize(
    ("record", "message"),
    [
        (b"garbage", "not a token record"),
        (_bytes(token_ids=[5], sentence_lengths=[1]), "not a token record"),
        (_bytes(document_id=[1], token_ids=[5], sentence_lengths=[2]), "sentence_lengths must"),
        (_bytes(document_id=[1], token_ids=[5], sentence_lengths=[1, 0]), "sentence_lengths must"),
        (_bytes(document_id=[1], token_ids=[], sentence_lengths=[]), "sentence_lengths must"),
        (
            _bytes(document_id=[1], token_ids=[5, V], sentence_lengths=[2]),
            f"token id {V} .*another",
        ),
        (
            _bytes(document_id=[1], token_ids=[-1, 5], sentence_lengths=[2]),
            "token id -1 is outside",
        ),
    ],
    ids=["garbage", "no_id", "longer", "zero", "no_tokens", "beyond_vocabulary", "negative"],
)
def test_a_record_of_another_form_is_named_by_file_and_number(tmp_path, record, message):
    good = _bytes(document_id=[1], token_ids=[5, 6], sentence_lengths=[2])
    path = str(tmp_path / "a.tfrecord")
    with tf.io.TFRecordWriter(path) as writer:
        for item in (good, good, record, good):
            writer.write(item)
    with pytest.raises(ValueError, match=f"{re.escape(path)}, record 2: {message}"):
        records.read_shards([path], vocab_size=V)


def test_a_damaged_file_is_named_with_the_record(tmp_path):
    write_shards(tmp_path, [(1, [[5, 6]]), (2, [[7]]), (3, [[8]])])
    (path,) = tmp_path.iterdir()
    whole = path.read_bytes()
    path.write_bytes(whole[:-3])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}, record 2: the file is damaged"):
        records.read_shards([str(path)], vocab_size=V)
    path.write_bytes(b"this is no TFRecord file at all")
    with pytest.raises(ValueError, match="record 0: the file is damaged or no TFRecord file"):
        records.read_shards([str(path)], vocab_size=V)


def test_another_vocabulary_is_told_from_stats(tmp_path):
    write_shards(tmp_path, [(1, [[5, 6]])])
    tokenizer = tiny_tokenizer()
    shards = [str(path) for path in tmp_path.iterdir()]
    records.check_same_vocabulary(shards, tokenizer)  # No stats.json: only ids can tell.
    stats = {"tokenizer": records.vocabulary_fingerprint(tokenizer)}
    (tmp_path / "stats.json").write_text(json.dumps(stats))
    records.check_same_vocabulary(shards, tokenizer)
    stats["tokenizer"]["vocab_size"] = 99
    (tmp_path / "stats.json").write_text(json.dumps(stats))
    with pytest.raises(ValueError, match=f"another tokenizer.*vocab_size={V}; .*vocab_size=99"):
        records.check_same_vocabulary(shards, tokenizer)
    (tmp_path / "stats.json").write_text("[]")
    with pytest.raises(ValueError, match="stats.json: not the statistics"):
        records.check_same_vocabulary(shards, tokenizer)


def test_a_full_disk_is_an_os_error_with_the_file():
    writer = records.ShardWriter("/dev/full")
    with pytest.raises(OSError) as caught:
        writer.write(b"x" * 1_000_000)
        writer.close()
    assert caught.value.errno == errno.ENOSPC and caught.value.filename == "/dev/full"
