"""The last words of bin/make_pretraining_data.py."""

from keras_bert_suite.data.record_report import report


def _split(**dropped):
    return {
        "documents": 1200,
        "sentences": 3,
        "tokens": 4,
        "unknown_token_rate": 0.25,
        "dropped_documents": dropped,
    }


def test_it_says_what_was_made_left_out_and_comes_next():
    stats = {
        "shards": {"train": 2, "eval": 1},
        "train": _split(duplicate=1000),
        "eval": _split(duplicate=2, too_short=3),
    }
    said = report(stats, "out", "tok", 2_500_000, 3.2)
    assert "1,200 documents, 3 sentences, 4 tokens in 2 train shards; " in said
    assert "in 1 eval shard and stats.json to out (25.000% unknown tokens)." in said
    assert "Left out: 1,002 duplicate, 3 too_short." in said
    assert "--train_data='out/train-*.tfrecord' --eval_data='out/eval-*.tfrecord'" in said
    assert said.endswith("\n2.5 MB of text in 3 s.")
    other = report({"shards": {"train": 1}, "train": _split()}, "o", "t", 0, 3.2)
    assert "Left out" not in other and other.endswith("\n3 s.")
