"""Classification: files in, features, answers in the graph, scores and the served signature."""

import json
import re

import numpy as np
import pytest
import tensorflow as tf
import toy_classification as toy

from keras_bert_suite.data.bucketing import BucketedSource, evaluation_batches
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.classification import Classification, TextExample
from keras_bert_suite.tasks.task import Task

THREE = Classification(text_column="text", labels=("animal", "food", "tool"))
PAIR = Classification(text_a_column="text_a", text_b_column="text_b", labels=("other", "same"))


def fit(path, *, skip=False, **options):
    return Classification(**options).fit(path, bad_rows=BadRows(skip=skip))


@pytest.fixture
def tokenizer():
    return toy.tokenizer()


@pytest.fixture
def model():
    config = toy.encoder_config()
    return BertModel(Encoder(config), [THREE.head(config)])


@pytest.mark.parametrize("ending", ["csv", "tsv", "jsonl"])
def test_the_training_file_gives_the_labels_in_order(tmp_path, ending):
    rows = [("the hen", "b"), ("a saw", "a"), ("one cat", "b")]
    path = toy.write_rows(tmp_path / f"train.{ending}", ["text", "label"], rows)
    task, examples = fit(path)
    assert task.labels == ("a", "b")
    assert task.text_column == "text"
    assert examples == [TextExample((text,), label) for text, label in rows]
    assert task.read(path, bad_rows=BadRows()) == examples
    assert fit(path, labels=("b", "c", "a"))[0].labels == ("b", "c", "a")


def test_labels_of_whole_numbers_are_in_the_numbers_order(tmp_path):
    rows = [("a", str(label)) for label in (10, 2, 0, 2, -1)]
    path = toy.write_rows(tmp_path / "train.csv", ["text", "label"], rows)
    assert fit(path)[0].labels == ("-1", "0", "2", "10")
    path = toy.write_rows(tmp_path / "train.csv", ["text", "label"], [*rows, ("a", "1a")])
    assert fit(path)[0].labels == ("-1", "0", "10", "1a", "2")


def test_white_space_around_a_label_makes_no_other_label(tmp_path):
    rows = [("a", "x "), ("b", "x"), ("c", " y")]
    path = toy.write_rows(tmp_path / "train.csv", ["text", "label"], rows)
    assert fit(path)[0].labels == ("x", "y")


def test_the_columns_of_json_lines_are_those_of_all_lines(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text('{"text": "a"}\n{"text": "b", "gold_label": "x"}\n{"text": "", "label": "y"}\n')
    with pytest.raises(ValueError, match=r"train.jsonl, line 1: no 'label'. There is: 'text'."):
        fit(path)
    path.write_text(
        '{"text": "a"}\n' + '{"text": "b", "label": "x"}\n{"text": "c", "label": "y"}\n'
    )
    bad_rows = BadRows(skip=True)
    task, examples = Classification().fit(path, bad_rows=bad_rows)
    assert (task.labels, len(examples), len(bad_rows.messages)) == (("x", "y"), 2, 1)


def test_rows_on_whose_label_snli_s_annotators_did_not_agree(tmp_path):
    rows = [("a", "b", label) for label in ("neutral", "-", "entailment")]
    path = toy.write_rows(tmp_path / "snli.tsv", ["sentence1", "sentence2", "gold_label"], rows)
    with pytest.raises(ValueError, match="line 3: gold_label is '-': its annotators did not agree"):
        fit(path)
    assert fit(path, skip=True)[0].labels == ("entailment", "neutral")
    path = toy.write_rows(tmp_path / "other.tsv", ["text_a", "text_b", "label"], rows)
    assert fit(path)[0].labels == ("-", "entailment", "neutral")  # elsewhere it is a name


def test_pairs_and_other_names(tmp_path):
    rows = [("a", "b", "1"), ("c", "d", "0")]
    path = toy.write_rows(tmp_path / "p.tsv", ["text_a", "text_b", "label"], rows)
    task, examples = fit(path)
    assert examples[0] == TextExample(("a", "b"), "1")
    assert task.signature() == {"serving_default": {"inputs": ["text_a", "text_b"]}}
    other = toy.write_rows(tmp_path / "o.tsv", ["s1", "s2", "gold"], rows)
    told = {"text_a_column": "s1", "text_b_column": "s2", "label_column": "gold"}
    assert fit(other, **told)[1] == examples
    assert task.adjusted(told).read(other, bad_rows=BadRows()) == examples
    assert task.adjusted(told).signature() == task.signature()


def test_a_table_without_a_header_has_columns_by_number(tmp_path):
    rows = '"3","a title, long","the text"\n"1","another","more text"\n'
    path = tmp_path / "ag_news.csv"
    path.write_text(rows)
    task, examples = fit(path, text_a_column="1", text_b_column="-1", label_column="0")
    assert task.labels == ("1", "3")
    assert examples[0] == TextExample(("a title, long", "the text"), "3")
    assert task.read(path, bad_rows=BadRows()) == examples
    records = task.records(path, bad_rows=BadRows())
    assert [task.example(record).texts for _, record in records] == [e.texts for e in examples]
    assert task.example({"text_a": "a", "text_b": "b"}).texts == ("a", "b")  # as a server's
    with pytest.raises(ValueError, match="no '1'. There is: 'text_a'"):
        task.example({"text_a": "a"})
    with pytest.raises(ValueError, match=r"no column '5'. The file has: '0', '1', '2'"):
        fit(path, text_column="5", label_column="0")
    with pytest.raises(ValueError, match="no column 'text'.*without a header they are numbers"):
        fit(path, label_column="0")


def test_banking77_and_med_as_they_are(kbs_data):
    banking = kbs_data / "cls_banking77"
    task, examples = fit(banking / "train.csv", label_column="category")
    assert (len(task.labels), len(examples)) == (77, 10003)
    assert sorted(json.loads((banking / "categories.json").read_text())) == list(task.labels)
    assert len(task.read(banking / "test.csv", bad_rows=BadRows())) == 3080
    columns = ("sentence1", "sentence2", "gold_label")
    options = dict(zip(("text_a_column", "text_b_column", "label_column"), columns, strict=True))
    task, examples = fit(kbs_data / "nli_med" / "MED.tsv", **options)
    assert task.labels == ("entailment", "neutral")
    assert len(examples) == 5382
    assert examples[0].texts[0] == "An Irishman won the nobel prize for literature."


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("a,label\nx,y\n", "line 1: no column 'text'. The file has: 'a', 'label'. Other names are"),
        ("text,a\nx,y\n", "line 1: no column 'label'."),
        ("text_a,label\nx,y\n", "line 1: no column 'text_b'."),
        ("text,text_a,text_b,label\na,b,c,d\n", "say by --text_column, or by --text_a_column"),
        ("text,label\na,x\nb,x\n", "at least two labels. Column 'label' has: 'x'."),
        ("text,label\na,x\n ,y\n", "line 3: the text in column 'text' is empty."),
        ("text,label\na,x\nb,\n", "line 3: the label in column 'label' is empty."),
    ],
)
def test_training_files_that_cannot_be_used(tmp_path, content, message):
    path = tmp_path / "train.csv"
    path.write_text(content)
    with pytest.raises(ValueError, match=re.escape(message)) as error:
        fit(path)
    assert str(path) in str(error.value)


def test_unknown_labels_in_the_dev_file(tmp_path):
    path = toy.write_rows(tmp_path / "dev.csv", ["text", "label"], [("a", "tool"), ("b", "plant")])
    expected = "dev.csv, line 3: unknown label 'plant'. Known: 'animal', 'food', 'tool'."
    with pytest.raises(ValueError, match=re.escape(expected)):
        THREE.read(path, bad_rows=BadRows())
    bad_rows = BadRows(skip=True)
    assert THREE.read(path, bad_rows=bad_rows) == [TextExample(("a",), "tool")]
    assert len(bad_rows.messages) == 1
    many = Classification(text_column="text", labels=tuple(f"l{i:02d}" for i in range(20)))
    with pytest.raises(ValueError, match="'l00', .*'l11' and 8 more."):
        many.read(path, bad_rows=BadRows())
    with pytest.raises(ValueError, match="none of the 2 rows can be used"):
        many.read(path, bad_rows=BadRows(skip=True))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"text_column": "t", "text_a_column": "a"}, "Received: both"),
        ({"text_a_column": "a"}, "Received: a and none"),
        ({"labels": ("a", "b", "a")}, "--labels names a more than once"),
    ],
)
def test_options_that_contradict_each_other(options, message):
    with pytest.raises(ValueError, match=message):
        Classification(**options)


def test_config_round_trip():
    assert Task.from_config(json.loads(json.dumps(PAIR.to_config()))) == PAIR


def test_features_are_the_tokenizer_s_batch_without_padding(tokenizer):
    rows = [TextExample((text,), label) for text, label in toy.texts(50)]
    features = THREE.features(rows, tokenizer, max_length=8)
    expected = tokenizer([row.texts[0] for row in rows], max_length=8)
    batch = features.batch(np.arange(50))
    for key in ("token_ids", "segment_ids", "padding_mask"):
        np.testing.assert_array_equal(batch[key], expected[key])
    assert [THREE.labels[i] for i in batch["label_ids"]] == [row.label for row in rows]
    # 6 words beside [CLS] and [SEP] fit in 8
    assert features.num_truncated == sum(len(row.texts[0].split()) > 6 for row in rows) > 0


def test_pair_features_and_their_truncation(tokenizer):
    examples = [TextExample(("cat dog hen", "saw axe")), TextExample(("cat", "saw"))]
    features = PAIR.features(examples, tokenizer, max_length=7)
    expected = tokenizer(["cat dog hen", "cat"], ["saw axe", "saw"], max_length=7)
    batch = features.batch(np.arange(2))
    np.testing.assert_array_equal(batch["token_ids"], expected["token_ids"])
    np.testing.assert_array_equal(batch["segment_ids"], expected["segment_ids"])
    assert features.num_truncated == 1
    assert "label_ids" not in batch


def test_decode_by_hand():
    # exp(log 3) = 3 and exp(0) = 1: the softmax is 3/5, 1/5, 1/5
    logits = tf.constant([[np.log(3), 0, 0], [0, 0, np.log(3)]], tf.float32)
    decoded = THREE.decode({"label_logits": logits}, {})
    assert decoded["label"].numpy().tolist() == [b"animal", b"tool"]
    assert decoded["label_id"].numpy().tolist() == [0, 2]
    np.testing.assert_allclose(decoded["scores"], [[0.6, 0.2, 0.2], [0.2, 0.2, 0.6]], rtol=1e-6)


def test_predictions_name_the_labels_best_first():
    decoded = {
        "label_id": np.array([1, 0]),
        "scores": np.array([[0.25, 0.5, 0.25], [0.1, 0.1, 0.8]], np.float32),
    }
    first, second = THREE.predictions(
        decoded, [TextExample(("a",)), TextExample(("b",), label="food")]
    )
    assert list(first["scores"].items()) == [("food", 0.5), ("animal", 0.25), ("tool", 0.25)]
    assert (first["label"], first["score"]) == ("food", 0.5)
    assert "gold" not in first
    # the label is what the graph chose; float32's shortest digits
    assert (second["label"], second["score"]) == ("animal", 0.1)
    assert (second["text"], second["gold"]) == ("b", "food")


def test_score_and_report():
    gold = ["animal", "animal", "food", "tool"]
    predictions = [{"label": label, "score": 1.0} for label in ("animal", "food", "food", "tool")]
    metrics = THREE.score(predictions, [TextExample(("x",), label) for label in gold])
    assert metrics["accuracy"] == 3 / 4
    assert metrics["majority_accuracy"] == 2 / 4
    assert metrics["calibration_error"] == 1 / 4  # wholly sure, and right three times of four
    assert metrics["macro_f1"] == pytest.approx((2 / 3 + 2 / 3 + 1) / 3)
    assert metrics["labels"]["food"] == {
        "precision": 0.5,
        "recall": 1.0,
        "f1": pytest.approx(2 / 3),
        "support": 1,
        "predicted": 2,
    }
    assert "f1" not in metrics
    report = THREE.report(metrics)
    assert re.search(r"^food +0\.5000  1\.0000  0\.6667 +1$", report, re.MULTILINE)
    assert "accuracy: 0.7500" in report
    assert json.loads(json.dumps(metrics)) == metrics


def test_two_labels_score_like_glue():
    gold, answers = ["same", "same", "other", "other"], ["same", "other", "same", "other"]
    metrics = PAIR.score(
        [{"label": label, "score": 0.5} for label in answers],
        [TextExample(("x", "y"), g) for g in gold],
    )
    assert (metrics["f1"], metrics["f1_positive_label"]) == (0.5, "same")
    assert metrics["matthews_correlation"] == 0
    assert "F1 of 'same': 0.5000" in PAIR.report(metrics)


def test_padding_and_buckets_never_change_a_logit(model, tokenizer):
    rows = [TextExample((text,), label) for text, label in toy.texts(30)]
    features = THREE.features(rows, tokenizer, max_length=16)
    dataset, places = evaluation_batches(features, batch_size=4)
    bucketed = np.concatenate([model(batch)["label_logits"] for batch in dataset])[places]
    alone = [model(features.batch(np.array([i])))["label_logits"][0] for i in range(30)]
    long = model(features.batch(np.arange(30), length=32))["label_logits"]
    np.testing.assert_allclose(bucketed, alone, atol=1e-5)
    np.testing.assert_allclose(long, alone, atol=1e-5)


def test_serving_features_are_the_training_s(model, tokenizer):
    texts = [text for text, _ in toy.texts(20)]

    @tf.function(input_signature=[tf.TensorSpec([None], tf.string)])
    def serve(text):
        batch = THREE.serving_features({"text": text}, tokenizer, 10)
        return THREE.decode(model(batch), batch)

    served = serve(tf.constant(texts))
    features = THREE.features([TextExample((text,)) for text in texts], tokenizer, max_length=10)
    outputs = model(features.batch(np.arange(20)))
    expected = THREE.decode(outputs, {})
    np.testing.assert_allclose(served["scores"], expected["scores"], atol=1e-6)
    assert served["label"].numpy().tolist() == expected["label"].numpy().tolist()


def test_plain_fit_learns_with_any_keras_optimizer(model, tokenizer):
    import keras

    rows = [TextExample((text,), label) for text, label in toy.texts(96)]
    features = THREE.features(rows, tokenizer, max_length=16)
    source = BucketedSource(features, global_batch_size=16, seed=0)
    model.compile(optimizer=keras.optimizers.AdamW(3e-3))
    history = model.fit(
        source.batches(0), steps_per_epoch=source.steps_per_epoch, epochs=12, verbose=0
    )
    losses = history.history["loss"]
    assert losses[0] > 0.7 and losses[-1] < 0.1
    assert history.history["label_accuracy"][-1] == 1.0
