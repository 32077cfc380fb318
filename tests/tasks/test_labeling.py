"""Token labelling: targets on every piece, answers for every word, scores, served texts."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
import toy_labeling

from keras_bert_suite.evaluation.entities import conlleval_text, entity_scores
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.labeling import Labeling, WordsExample
from keras_bert_suite.text.tokenizer import Tokenizer

_LABELS = ("O", "B-x", "I-x")
_TASK = Labeling(labels=_LABELS, tag_scheme="BIO")


@pytest.fixture(scope="module")
def tokenizer():
    return Tokenizer(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "a", "##b", "c"])


def fit(path, text, **options):
    path.write_text(text, encoding="utf-8")
    return Labeling(**options).fit(path, bad_rows=BadRows())


def test_fit_finds_the_tags_and_their_scheme(tmp_path):
    task, examples = fit(tmp_path / "a.txt", "a B-y\nb O\n\nc B-x\n")
    assert task.labels == ("O", "B-x", "I-x", "B-y", "I-y")
    assert (task.tag_scheme, task.best_by) == ("BIO", "f1")
    assert examples[0] == WordsExample("a b", ("a", "b"), ("B-y", "O"))
    assert task.remarks(examples) == ["3 words; 5 tags (BIO)"]
    assert Labeling.from_config(json.loads(json.dumps(task.to_config()))) == task


def test_broken_tags_are_repaired_and_counted(tmp_path):
    task, examples = fit(tmp_path / "a.txt", "a B-x\nb I-y\nc O\nd I-x\n")
    assert examples[0].tags == ("B-x", "B-y", "O", "B-x")
    assert task.remarks(examples)[0].endswith("2 broken tags written anew as conlleval reads them")
    metrics = task.score([{"tags": ["B-x", "B-y", "O", "O"]}], examples)
    assert metrics["num_repaired_tags"] == 2
    assert (metrics["precision"], metrics["recall"], metrics["f1"]) == (1.0, 2 / 3, 0.8)


def test_iob1_is_learnt_as_bio_and_is_no_fault(tmp_path):
    task, examples = fit(tmp_path / "a.txt", "a I-x\nb B-x\nc O\n")
    assert examples == [WordsExample("a b c", ("a", "b", "c"), ("B-x", "B-x", "O"))]
    assert task.remarks(examples) == ["3 words; 3 tags (BIO, in place of the training file's IOB1)"]


def test_bmes_is_learnt_as_iobes_and_is_no_fault(tmp_path):
    task, examples = fit(tmp_path / "a.txt", "a B-x\nb M-x\nc E-x\nd S-y\n")
    assert examples[0].tags == ("B-x", "I-x", "E-x", "S-y") and len(task.labels) == 9
    wanted = "4 words; 9 tags (IOBES, in place of the training file's BMES)"
    assert task.remarks(examples) == [wanted]
    metrics = task.score([{"tags": list(examples[0].tags)}], examples)
    assert metrics["f1"] == 1.0 and metrics["num_repaired_tags"] == 0


def test_plain_tags_and_tags_of_other_files(tmp_path):
    task, _ = fit(tmp_path / "a.txt", "a DT\nb NN\n")
    assert (task.labels, task.best_by) == (("DT", "NN"), "accuracy")
    (tmp_path / "b.txt").write_text("a DT\nb NNS\n")
    examples = task.read(tmp_path / "b.txt", bad_rows=BadRows())
    assert task.remarks(examples) == ["2 words; 2 tags (plain); 1 tags that are not learnt: NNS"]
    metrics = task.score([{"tags": ["DT", "NN"]}], examples)
    assert (metrics["accuracy"], metrics["num_unknown_tags"]) == (0.5, 1)
    assert metrics["labels"]["NNS"]["support"] == 1
    report = task.report(metrics)
    assert "accuracy: 0.5000" in report
    assert report.endswith("1 gold tags that the training file does not have")


def test_bad_options_and_labels_outside_the_set(tmp_path):
    with pytest.raises(ValueError, match="--tag_scheme must be one of BIO, IOBES, BILOU, plain"):
        Labeling(tag_scheme="IOB")
    with pytest.raises(ValueError, match="--labels names O more than once."):
        Labeling(labels=("O", "O"))
    with pytest.raises(ValueError, match="at least two tags are needed to learn"):
        fit(tmp_path / "a.txt", "a NN\n")
    message = "line 3: the sentence that begins here has the tag 'B-y', which --labels does not"
    with pytest.raises(ValueError, match=message):
        fit(tmp_path / "a.txt", "a B-x\n\nb O\nc B-y\n", labels=_LABELS)


def test_every_piece_carries_its_word_s_tag(tokenizer):
    examples = [WordsExample("abb c \0", ("abb", "c", "\0"), ("B-x", "I-x", "B-x"))]
    features = _TASK.features(examples, tokenizer, max_length=9)
    batch = features.batch(np.array([0]))
    assert batch["token_ids"].tolist() == [[2, 5, 6, 6, 7, 1, 3]]
    assert batch["tag_ids"].tolist() == [[0, 1, 2, 2, 2, 1, 0]]
    assert batch["tag_weights"].tolist() == [[0, 1, 1, 1, 1, 1, 0]]
    assert batch["word_starts"].tolist() == [[-1, 0, -1, -1, 4, 6, -1]]
    assert batch["word_ends"].tolist() == [[0, 3, 0, 0, 5, 7, 0]]


def test_a_tag_that_is_not_learnt_has_no_weight(tokenizer):
    examples = [WordsExample("c c", ("c", "c"), ("B-y", "O"))]
    batch = _TASK.features(examples, tokenizer, max_length=9).batch(np.array([0]))
    assert batch["tag_weights"].tolist() == [[0, 0, 1, 0]]


def decoded_rows(features):
    """`decode` of all rows of features, as the predictor gives it."""
    batch = features.batch(np.arange(len(features)))
    decoded = _TASK.decode(logits_of(batch), batch)
    return {k: np.asarray(v) for k, v in decoded.items()} | {
        "example_index": features.example_index
    }


def logits_of(batch):
    """The tag of a token is its id modulo 3, with certainty."""
    return {"tag_logits": tf.one_hot(tf.constant(batch["token_ids"]) % 3, 3) * 50.0}


@pytest.mark.parametrize("max_length", [4, 6, 50])
def test_rows_of_long_sentences_are_joined_again(tokenizer, max_length):
    """ "a" has id 5, "c" id 7: I-x and B-x by `logits_of`."""
    words = tuple("ca" * 9 + "c")
    texts = [WordsExample(" ".join(words), words, ("O",) * 19), WordsExample("c", ("c",), ("O",))]
    features = _TASK.features(texts, tokenizer, max_length=max_length)
    first, second = _TASK.predictions(decoded_rows(features), texts)
    assert first["words"] == list(words)
    assert first["tags"] == ["B-x", "I-x"] * 9 + ["B-x"]
    assert first["entities"][8] == {
        "type": "x", "text": "c a", "start": 32, "end": 35, "score": 1.0,
    }  # fmt: skip
    assert (second["gold"], second["tags"]) == (["O"], ["B-x"])


def test_entities_slice_the_text_they_came_from(tokenizer):
    text = "\u200fc\u0301\u200f (\U0001f600), c a\n\0 c"
    example = _TASK.example({"text": text})
    features = _TASK.features([example], tokenizer, max_length=12)
    (answer,) = _TASK.predictions(decoded_rows(features), [example])
    assert answer["words"] == ["c\u0301", "(", "\U0001f600", ")", ",", "c", "a", "c"]
    for entity in answer["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
    assert answer["entities"][-2]["text"] == "c a"


def test_records_of_words_and_of_text():
    assert _TASK.example({"tokens": ["a", "b c"]}) == WordsExample("a b c", ("a", "b c"))
    assert _TASK.example({"text": " a"}) == WordsExample(" a")
    for record, message in [
        ({}, "no 'tokens' (a list of words) and no 'text'. There is: nothing."),
        ({"text": " "}, "the text in column 'text' is empty."),
        ({"tokens": []}, "column 'tokens' has no words."),
    ]:
        with pytest.raises(ValueError, match=re.escape(message)):
            _TASK.example(record)


def test_served_texts_get_the_same_tags(tokenizer):
    texts = ["c a (c)", "", "ca \0 a" + " c" * 20, "x" * 300]
    batch = _TASK.serving_features({"text": tf.constant(texts)}, tokenizer, 8)
    assert batch["token_ids"].shape[0] > len(texts)
    answers = _TASK.served(_TASK.decode(logits_of(batch), batch), batch, {})
    served = {k: v.numpy() for k, v in answers.items()}
    assert all(len(value) == len(texts) for value in served.values())
    examples = [WordsExample(text) for text in texts]
    features = _TASK.features(examples, tokenizer, max_length=8)
    for row, answer in enumerate(_TASK.predictions(decoded_rows(features), examples)):
        count = served["num_words"][row]
        assert [word.decode() for word in served["words"][row][:count]] == answer["words"]
        assert [tag.decode() for tag in served["tags"][row][:count]] == answer["tags"]
        assert not served["words"][row][count:].any() and not served["tags"][row][count:].any()
        starts, ends = served["starts"][row], served["ends"][row]
        sliced = [texts[row][s:e] for s, e in zip(starts[:count], ends[:count], strict=True)]
        assert sliced == answer["words"]


def test_scores_of_a_file_of_predictions(tmp_path):
    gold = [words_tags for words_tags in toy_labeling.sentences(20)]
    predicted = [["B-tool", *tags[1:]] for _, tags in gold]
    lines = "\n".join(
        "".join(f"{w} X {a} {b}\n" for w, a, b in zip(words, tags, other, strict=True))
        for (words, tags), other in zip(gold, predicted, strict=True)
    )
    (tmp_path / "scored.txt").write_text(lines)
    data = toy_labeling.write_columns(tmp_path / "gold.txt", gold)
    expected = conlleval_text(entity_scores([tags for _, tags in gold], predicted))
    for data_file in (None, tmp_path / "scored.txt", data):
        metrics = Labeling().score_file(tmp_path / "scored.txt", data_file=data_file)
        assert Labeling().report(metrics) + "\n" == expected
    (tmp_path / "gold.txt").write_text("a O\n")
    with pytest.raises(ValueError, match=r"scored.txt, line 1: the sentence .* \d+ words, that"):
        Labeling().score_file(tmp_path / "scored.txt", data_file=tmp_path / "gold.txt")
