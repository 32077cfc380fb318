"""Predictions are the model's own, whatever the batches; input errors have a place."""

import json
import re

import numpy as np
import pytest
import toy_classification as toy

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.tasks.classification import Classification, TextExample
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.training.prediction_files import predict_lines

TASK = Classification(text_column="text", labels=("animal", "food", "tool"))


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """A classifier that has learnt nothing."""
    folder = tmp_path_factory.mktemp("classifier")
    config = toy.encoder_config()
    model = BertModel(Encoder(config), [TASK.head(config)])
    extra = {"task": TASK.to_config(), "sequence_length": 10}
    save_model(model, folder, tokenizer=toy.tokenizer(), extra=extra)
    return folder


@pytest.fixture(scope="module")
def predictor(directory):
    return Predictor.load(directory, batch_size=4)


def answers(predictor, lines, *, lines_at_a_time=3):
    encoded = [line if isinstance(line, bytes) else line.encode() for line in lines]
    return list(
        predict_lines(predictor, encoded, source="in.jsonl", lines_at_a_time=lines_at_a_time)
    )


def test_evaluation_prediction_and_a_plain_call_agree(directory, predictor, tmp_path):
    rows = toy.texts(23)
    path = toy.write_rows(tmp_path / "a.csv", ["text", "label"], rows)
    evaluated = evaluate_file(predictor, path).predictions
    texts = [text for text, _ in rows]
    predicted = answers(predictor, [json.dumps({"text": text}) for text in texts])
    batch = toy.tokenizer()(texts, max_length=10)
    logits = load_model(directory)(batch)["label_logits"].numpy()
    scores = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    for one, other, row in zip(evaluated, predicted, scores, strict=True):
        expected = dict(zip(TASK.labels, row, strict=True))
        assert one["label"] == other["prediction"]["label"] == TASK.labels[row.argmax()]
        for label in TASK.labels:
            assert one["scores"][label] == pytest.approx(expected[label], abs=1e-6)
            assert other["prediction"]["scores"][label] == pytest.approx(expected[label], abs=1e-6)


def test_answers_to_texts_and_records_are_those_to_lines(predictor):
    texts = [text for text, _ in toy.texts(5)]
    records = [json.dumps({"text": text}) for text in texts]
    lines = answers(predictor, records, lines_at_a_time=5)  # the same batches
    expected = [line["prediction"] for line in lines]
    assert predictor.answers(texts) == predictor.answers([{"text": t} for t in texts]) == expected
    assert predictor.answers([]) == []
    for wrong in ("one text", {"text": "one"}):
        with pytest.raises(ValueError, match="takes a list of records. Received one alone"):
            predictor.answers(wrong)
    with pytest.raises(ValueError, match=r"record 2: the text in column 'text' is empty"):
        predictor.answers(["a", " "])
    with pytest.raises(ValueError, match="record 1 must be a text or a dict. Received: 7"):
        predictor.answers([7])


def test_evaluation_counts_what_it_cut_and_skipped(predictor, tmp_path):
    rows = [*toy.texts(12), ("a", "plant")]
    path = toy.write_rows(tmp_path / "a.csv", ["text", "label"], rows)
    evaluation = evaluate_file(predictor, path, skip_bad_rows=True)
    assert evaluation.metrics["num_examples"] == 12
    assert evaluation.metrics["num_bad_rows"] == len(evaluation.bad_rows) == 1
    too_long = sum(len(text.split()) > 8 for text, _ in toy.texts(12))
    assert evaluation.metrics["num_truncated"] == too_long > 0


def test_lines_keep_their_fields_and_order(predictor):
    lines = ['{"id": 7, "text": "the cat"}\n', "\n", '{"text": "a saw", "more": [1, {"é": null}]}']
    first, second = answers(predictor, lines)
    assert list(first) == ["id", "text", "prediction"]
    assert second["more"] == [1, {"é": None}]
    assert set(first["prediction"]) == {"label", "score", "scores"}


def test_lines_are_answered_as_they_come(predictor):
    def lines():
        yield b'{"text": "the cat"}'
        yield b"broken"

    stream = predict_lines(predictor, lines(), source="stdin", lines_at_a_time=1)
    assert next(stream)["text"] == "the cat"
    with pytest.raises(ValueError, match="stdin, line 2: not JSON"):
        next(stream)


def test_no_lines_no_answers(predictor):
    assert answers(predictor, []) == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("{", "in.jsonl, line 2: not JSON"),
        ("3", "in.jsonl, line 2: a line must hold a JSON object"),
        ('{"txt": "a"}', "in.jsonl, line 2: no 'text'. There is: 'txt'."),
        ('{"text": ""}', "in.jsonl, line 2: the text in column 'text' is empty."),
        (b'{"text": "\xff"}', "in.jsonl, line 2: byte 0xff is not UTF-8."),
        ('{"text": "\\ud800"}', "in.jsonl, line 2: the text in column 'text' has half of a"),
    ],
)
def test_a_line_that_cannot_be_answered(predictor, line, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        answers(predictor, ['{"text": "a"}', line])


def test_texts_of_any_kind_are_answered(predictor):
    texts = ["a" * 100_000, "the " * 50_000, "\x00", "🙂 e\u0301 שלום", "[CLS] [SEP]"]
    found = answers(predictor, [json.dumps({"text": text}) for text in texts])
    assert all(sum(f["prediction"]["scores"].values()) == pytest.approx(1) for f in found)


def test_other_columns_and_lengths_may_be_told(directory):
    told = Predictor.load(directory, options={"text_column": "q"}, sequence_length=32)
    assert answers(told, ['{"q": "the cat"}'])[0]["q"] == "the cat"
    assert told.sequence_length == 32


def test_directories_and_numbers_that_cannot_be_used(directory, tmp_path):
    with pytest.raises(ValueError, match="max_positions, 32. Received: 64"):
        Predictor.load(directory, sequence_length=64)
    with pytest.raises(ValueError, match="batch_size must be at least 1. Received: 0"):
        Predictor.load(directory, batch_size=0)
    with pytest.raises(ValueError, match="Received: both"):
        Predictor.load(directory, options={"text_a_column": "a", "text_b_column": "b"})
    plain = toy.write_model_directory(tmp_path / "plain")
    expected = (
        f"{plain} was not fine-tuned for a task: its config.json names none, and no head that "
    )
    with pytest.raises(ValueError, match=re.escape(expected)):
        Predictor.load(plain)


def test_one_trace_serves_all_shapes(predictor):
    examples = [TextExample((text,)) for text, _ in toy.texts(40)]
    predictor.predict(examples)
    before = predictor._answers.experimental_get_tracing_count()
    predictor.predict(examples[:7])
    assert predictor._answers.experimental_get_tracing_count() == before


def test_zeros_fill_the_answers_of_shorter_batches():
    from keras_bert_suite.training.prediction import _together

    whole = _together([np.ones([1, 2, 3], np.int32), np.full([2, 3, 1], 2, np.int32)])
    assert whole.tolist() == [
        [[1, 1, 1], [1, 1, 1], [0, 0, 0]],
        *[[[2, 0, 0], [2, 0, 0], [2, 0, 0]]] * 2,
    ]
    assert _together([np.ones([2]), np.zeros([1])]).tolist() == [1.0, 1.0, 0.0]


@pytest.mark.parametrize(
    ("task", "message"),
    [
        ("classification", "its labels are not known. Run bin/finetune.py --task=classification"),
        ("qa", "has no head 'qa', .* It has: none. Run bin/finetune.py --task=qa --init_from="),
    ],
)
def test_a_task_that_the_model_has_not_learnt(tmp_path, task, message):
    path = toy.write_model_directory(tmp_path / "encoder")
    with pytest.raises(ValueError, match=message):
        Predictor.load(path, task=task)
