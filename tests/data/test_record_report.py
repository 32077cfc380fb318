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
    assert "Left out" not in other and "another document" not in other
    assert other.endswith("\n3 s.")


def test_it_counts_one_in_the_singular_and_warns_of_documents_of_one_sentence():
    one = {**_split(), "documents": 1, "sentences": 2, "tokens": 1}
    said = report({"shards": {"train": 1}, "train": one}, "o", "t", 0, 1)
    assert said.startswith("Wrote 1 document, 2 sentences, 1 token in 1 train shard and ")
    assert "one sentence" not in said
    assert "comes from another document, and train-* has one alone: give more text" in said
    alone = {**_split(), "documents": 7, "sentences": 7}
    said = report({"shards": {"train": 1}, "train": alone}, "o", "t", 0, 1)
    assert "Every document is one sentence, so that no sentence has a next one" in said
    assert "(--documents), or train with --objectives=mlm. Next: bin/pretrain.py" in said
