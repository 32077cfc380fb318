"""Rows by hand; truncation against the `tokenizers` library and in plain Python."""

from __future__ import annotations

import itertools

import pytest
import tensorflow as tf

from keras_bert_suite.text.packing import longest_first, pack

IDS = {"cls_id": 2, "sep_id": 3, "pad_id": 0}


def lists(batch):
    return {name: tensor.numpy().tolist() for name, tensor in batch.items()}


def test_single_texts():
    ids = tf.ragged.constant([[7, 8], [], [9]], dtype=tf.int32)
    assert lists(pack(ids, **IDS)) == {
        "token_ids": [[2, 7, 8, 3], [2, 3, 0, 0], [2, 9, 3, 0]],
        "segment_ids": [[0] * 4] * 3,
        "padding_mask": [[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0]],
    }
    assert lists(pack(ids, max_length=3, **IDS))["token_ids"] == [[2, 7, 3], [2, 3, 0], [2, 9, 3]]


def test_pairs():
    first = tf.ragged.constant([[7, 8], [9]], dtype=tf.int32)
    second = tf.ragged.constant([[5], [6, 6, 6]], dtype=tf.int32)
    batch = pack(first, second, pad_id=1, cls_id=2, sep_id=3)
    assert lists(batch) == {
        "token_ids": [[2, 7, 8, 3, 5, 3, 1], [2, 9, 3, 6, 6, 6, 3]],
        "segment_ids": [[0, 0, 0, 0, 1, 1, 0], [0, 0, 0, 1, 1, 1, 1]],
        "padding_mask": [[1, 1, 1, 1, 1, 1, 0], [1] * 7],
    }
    assert all(tensor.dtype == tf.int32 for tensor in batch.values())


def test_pairs_of_roberta():
    first = tf.ragged.constant([[7, 8], [9]], dtype=tf.int32)
    second = tf.ragged.constant([[5], [6, 6, 6]], dtype=tf.int32)
    frame = {**IDS, "separators": 2, "segments": False}
    batch = lists(pack(first, second, max_length=7, **frame))
    # Four special tokens leave three places.
    assert batch["token_ids"] == [[2, 7, 8, 3, 3, 5, 3], [2, 9, 3, 3, 6, 6, 3]]
    assert batch["segment_ids"] == [[0] * 7] * 2
    assert batch["padding_mask"] == [[1] * 7] * 2
    single = lists(pack(first, **frame))
    assert single["token_ids"] == [[2, 7, 8, 3], [2, 9, 3, 0]]
    assert single["segment_ids"] == [[0] * 4] * 2


@pytest.mark.parametrize("max_length", [6, 7, 10, 13])
def test_roberta_truncates_as_the_tokenizers_library(max_length):
    from tokenizers import Tokenizer, models, pre_tokenizers, processors

    words = {"<s>": 2, "</s>": 3, "<unk>": 0, "a": 5, "b": 6}
    library = Tokenizer(models.WordLevel(words, "<unk>"))
    library.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    library.post_processor = processors.RobertaProcessing(("</s>", 3), ("<s>", 2))
    library.enable_truncation(max_length, strategy="longest_first")
    lengths = list(itertools.product(range(1, 9), repeat=2))
    firsts, seconds = zip(*lengths, strict=True)
    batch = pack(
        tf.ragged.constant([[5] * n for n in firsts], dtype=tf.int32),
        tf.ragged.constant([[6] * n for n in seconds], dtype=tf.int32),
        max_length=max_length,
        separators=2,
        segments=False,
        **IDS,
    )
    expected = library.encode_batch([("a " * n, "b " * m) for n, m in lengths])
    for row, encoding in enumerate(expected):
        assert batch["token_ids"][row, : len(encoding.ids)].numpy().tolist() == encoding.ids


def test_no_rows():
    empty = tf.RaggedTensor.from_row_lengths(tf.zeros([0], tf.int32), tf.zeros([0], tf.int64))
    for batch in (pack(empty, **IDS), pack(empty, empty, max_length=8, **IDS)):
        assert all(tensor.shape[0] == 0 for tensor in batch.values())


def one_by_one(a: int, b: int, budget: int) -> tuple[int, int]:
    """Takes pieces off the longer text; of an odd budget the text that was longer keeps more."""
    second_wins = b >= a
    while a + b > budget:
        if a > b or (a == b and second_wins):
            a -= 1
        else:
            b -= 1
    return a, b


def test_longest_first_equals_taking_pieces_off_one_by_one():
    cases = list(itertools.product(range(9), range(9), range(1, 13)))
    for a, b, budget in cases:
        kept = longest_first(tf.constant([a]), tf.constant([b]), budget=budget)
        assert (int(kept[0][0]), int(kept[1][0])) == one_by_one(a, b, budget), (a, b, budget)


@pytest.mark.parametrize("max_length", [5, 6, 9, 12, 40])
def test_longest_first_equals_the_tokenizers_library(max_length):
    from tokenizers import BertWordPieceTokenizer

    vocabulary = {"[PAD]": 0, "[UNK]": 1, "[CLS]": 2, "[SEP]": 3, "[MASK]": 4, "a": 5, "b": 6}
    library = BertWordPieceTokenizer(vocabulary)
    library.enable_truncation(max_length, strategy="longest_first")
    lengths = list(itertools.product(range(1, 12), repeat=2))
    firsts, seconds = zip(*lengths, strict=True)
    batch = pack(
        tf.ragged.constant([[5] * n for n in firsts], dtype=tf.int32),
        tf.ragged.constant([[6] * n for n in seconds], dtype=tf.int32),
        max_length=max_length,
        **IDS,
    )
    expected = library.encode_batch([(" a" * n, " b" * m) for n, m in lengths])
    for row, encoding in enumerate(expected):
        size = len(encoding.ids)
        assert batch["token_ids"][row, :size].numpy().tolist() == encoding.ids
        assert batch["segment_ids"][row, :size].numpy().tolist() == encoding.type_ids
        assert int(tf.reduce_sum(batch["padding_mask"][row])) == size


def test_two_separators_need_more_room():
    ids = tf.ragged.constant([[7]], dtype=tf.int32)
    with pytest.raises(ValueError, match="greater than 4.*Got: 4"):
        pack(ids, ids, max_length=4, separators=2, **IDS)


@pytest.mark.parametrize(("pair", "limit"), [(False, 2), (True, 3)])
def test_max_length_must_leave_room(pair, limit):
    ids = tf.ragged.constant([[7]], dtype=tf.int32)
    with pytest.raises(ValueError, match=f"greater than {limit}.*Got: {limit}"):
        pack(ids, ids if pair else None, max_length=limit, **IDS)
    assert pack(ids, ids if pair else None, max_length=limit + 1, **IDS)
