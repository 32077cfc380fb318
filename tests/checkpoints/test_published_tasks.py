"""Directories whose config.json names no task answer what their class of transformers answers."""

import json

import keras
import numpy as np
import pytest
import toy_classification as toy

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.checkpoints.task_model import load_task_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.models.heads.next_sentence import NextSentenceHead
from keras_bert_suite.models.heads.replaced_token import ReplacedTokenHead
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.fill_mask import FillMask
from keras_bert_suite.tasks.labeling import Labeling
from keras_bert_suite.tasks.multilabel import MultiLabel
from keras_bert_suite.tasks.multiple_choice import MultipleChoice
from keras_bert_suite.tasks.question_answering import QuestionAnswering
from keras_bert_suite.tasks.regression import Regression
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.training.prediction_files import predict_lines

_KINDS = ("animal", "food", "tool")
_TASKS = {
    "BertForSequenceClassification": Classification(labels=_KINDS),
    "BertForTokenClassification": Labeling(
        labels=("O", "B-PER", "I-PER", "B-LOC", "I-LOC"), tag_scheme="BIO"
    ),
    "BertForQuestionAnswering": QuestionAnswering(),
    "BertForMultipleChoice": MultipleChoice(),
    "multi-label": MultiLabel(labels=_KINDS),
    "regression": Regression(),
    "parts of speech": Labeling(labels=("ADJ", "NOUN", "X"), tag_scheme="plain"),
}


def _write(directory, *heads, config=None):
    """A directory with transformers' keys alone, whose heads give large logits."""
    keras.utils.set_random_seed(5)
    model = BertModel(Encoder(config or toy.encoder_config()), list(heads))
    for weight in model.weights:
        if "classifier" in weight.path:
            weight.assign(weight * 10)
    save_model(model, directory, tokenizer=toy.tokenizer())
    file = directory / "config.json"
    values = json.loads(file.read_text())
    del values["keras_bert_suite"]
    file.write_text(json.dumps(values))
    return directory


def _of_task(directory, task):
    return _write(directory, task.head(toy.encoder_config()))


def _answers(directory, records, **options):
    predictor = Predictor.load(directory, options=options)
    lines = [json.dumps(record).encode() for record in records]
    answers = predict_lines(predictor, lines, source="lines", lines_at_a_time=9)
    return [answer["prediction"] for answer in answers]


@pytest.mark.parametrize("name", _TASKS)
def test_the_task_is_that_of_the_class(name, tmp_path):
    directory = _of_task(tmp_path / "model", _TASKS[name])
    named = json.loads((directory / "config.json").read_text())["architectures"][0]
    assert not name.startswith("Bert") or named == name
    model, task, _ = load_task_model(directory)
    assert task == _TASKS[name]
    assert list(model.heads) == [_TASKS[name].head(model.encoder.config).kind]


def test_a_pretrained_model_fills_masks_and_an_encoder_alone_answers_nothing(tmp_path):
    config = toy.encoder_config()
    heads = [MaskedLMHead.for_encoder(config), NextSentenceHead.for_encoder(config)]
    assert load_task_model(_write(tmp_path / "both", *heads))[1] == FillMask()
    (answer,) = _answers(tmp_path / "both", [{"text": "the [MASK]"}], top_k=2)
    assert len(answer["masks"][0]) == 2
    message = "its config.json names none, and no head that answers. Run bin/finetune.py"
    with pytest.raises(ValueError, match=message):
        load_task_model(_write(tmp_path / "encoder"))
    electra = config.replace(family="electra", use_pooler=False)
    of_electra = _write(
        tmp_path / "electra", ReplacedTokenHead.for_encoder(electra), config=electra
    )
    with pytest.raises(ValueError, match=message):
        load_task_model(of_electra)


@pytest.mark.slow
def test_a_classifier_reads_single_texts_and_pairs_as_they_come(tmp_path):
    directory = _of_task(tmp_path / "model", _TASKS["BertForSequenceClassification"])
    texts = [text for text, _ in toy.texts(4)]
    logits = load_model(directory)(toy.tokenizer()(texts))["label_logits"].numpy()
    found = _answers(directory, [{"text": text} for text in texts])
    assert [one["label"] for one in found] == [_KINDS[i] for i in logits.argmax(-1)]
    assert len({one["score"] for one in found}) == 4
    pairs = [{"premise": a, "hypothesis": b} for a, b in zip(texts, texts[::-1], strict=True)]
    logits = load_model(directory)(toy.tokenizer()(texts, texts[::-1]))["label_logits"].numpy()
    scores = np.exp(logits) / np.exp(logits).sum(-1, keepdims=True)
    for one, row in zip(_answers(directory, pairs), scores, strict=True):
        assert one["scores"] == pytest.approx(dict(zip(_KINDS, row, strict=True)), abs=1e-6)
    with pytest.raises(ValueError, match="must all be single texts, or all be pairs. Say by"):
        _answers(directory, [{"text": "a"}, pairs[0]])


def test_a_classifier_is_scored_by_the_columns_of_the_file(tmp_path):
    directory = _of_task(tmp_path / "model", _TASKS["BertForSequenceClassification"])
    predictor = Predictor.load(directory)
    assert predictor.sequence_length == 32  # all that the model can read
    file = toy.write_rows(tmp_path / "a.tsv", ["sentence", "gold_label"], toy.texts(6))
    evaluation = evaluate_file(predictor, file)
    assert evaluation.metrics["num_examples"] == 6
    assert [one["text"] for one in evaluation.predictions] == [text for text, _ in toy.texts(6)]
    rows = [(a, b, "food") for a, b, _ in toy.pairs(6)]
    file = toy.write_rows(tmp_path / "b.csv", ["sentence1", "sentence2", "label"], rows)
    assert evaluate_file(predictor, file).predictions[0]["text_b"] == rows[0][1]


def test_labels_without_names_are_their_numbers(tmp_path):
    task = Classification(labels=("LABEL_0", "LABEL_1"))
    rows = [("the cat", "1"), ("a saw", "0"), ("rice", "LABEL_1")]
    file = toy.write_rows(tmp_path / "a.csv", ["text", "label"], rows)
    read = task.read(file, bad_rows=BadRows(skip=False))
    assert [example.label for example in read] == ["LABEL_1", "LABEL_0", "LABEL_1"]
    file = toy.write_rows(tmp_path / "b.csv", ["text", "label"], [("a", "2")])
    with pytest.raises(ValueError, match="unknown label '2'. Known: 'LABEL_0', 'LABEL_1'"):
        task.read(file, bad_rows=BadRows(skip=False))


@pytest.mark.slow
def test_entities_of_running_text_and_of_a_file(tmp_path):
    directory = _of_task(tmp_path / "model", _TASKS["BertForTokenClassification"])
    text = "the cat and one dog on some bread"
    (answer,) = _answers(directory, [{"text": text}])
    logits = load_model(directory)(toy.tokenizer()([text]))["tag_logits"][0, 1:-1]
    labels = _TASKS["BertForTokenClassification"].labels
    assert answer["tags"] == [labels[i] for i in np.argmax(logits, -1)]
    assert answer["entities"]
    for entity in answer["entities"]:
        assert text[entity["start"] : entity["end"]] == entity["text"]
    (tmp_path / "a.conll").write_text("the O\ncat B-PER\n\nbread B-LOC\n")
    metrics = evaluate_file(Predictor.load(directory), tmp_path / "a.conll").metrics
    assert metrics["num_words"] == 3


@pytest.mark.slow
def test_a_question_may_be_left_unanswered_where_a_threshold_is_told(tmp_path):
    directory = _of_task(tmp_path / "model", QuestionAnswering())
    record = {"question": "the cat", "context": "a dog and one hen on bread"}
    (never,) = _answers(directory, [record], null_threshold=-1e9)
    assert never["answer"] == ""
