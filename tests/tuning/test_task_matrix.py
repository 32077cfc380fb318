"""Every task with every tuning method, from files to a directory that answers: the loss falls."""

import pytest
import toy_classification as toy
import toy_labeling
import toy_questions
import toy_spans

from keras_bert_suite.checkpoints.model_directory import read_config, save_model
from keras_bert_suite.checkpoints.sources import is_tuned_part
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.tuning.method import TuningMethod

_RATES = {"full": 3e-3, "head": 1e-2, "bitfit": 1e-2}
_METHODS = ("full", "head", "bitfit", "lora", "houlsby", "pfeiffer", "prefix", "prompt")
_QUICK = {("classification", "lora"), ("labeling", "prefix")}


def _masked(count):
    rows = []
    for text, label in toy.texts(count):
        word = next(word for word in text.split() if word in toy.WORDS[label])
        rows.append((text.replace(word, "[MASK]", 1), word))
    return rows


_FILES = {
    "classification": lambda path: toy.write_rows(
        path.with_suffix(".csv"), ["text", "label"], toy.texts(192)
    ),
    "labeling": lambda path: toy_labeling.write_columns(
        path.with_suffix(".conll"), toy_labeling.sentences(192)
    ),
    "qa": lambda path: toy_questions.write_squad(
        path.with_suffix(".json"), toy_questions.questions(192)
    ),
    "span": lambda path: toy_spans.write_lines(path.with_suffix(".jsonl"), toy_spans.texts(192)),
    "fill_mask": lambda path: toy.write_rows(
        path.with_suffix(".csv"), ["text", "label"], _masked(192)
    ),
    "embedding": lambda path: toy.write_rows(
        path.with_suffix(".csv"),
        ["text_a", "text_b"],
        [(a, b) for a, b, label in toy.pairs(400) if label == "same"],
    ),
}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A fresh encoder with a masked-LM head."""
    config = toy.encoder_config()
    path = tmp_path_factory.mktemp("base") / "encoder"
    model = BertModel(Encoder(config), [MaskedLMHead.for_encoder(config)])
    save_model(model, path, tokenizer=toy.tokenizer())
    return path


@pytest.mark.parametrize(
    "task, method",
    [
        pytest.param(task, method, marks=() if (task, method) in _QUICK else pytest.mark.slow)
        for task in _FILES
        for method in _METHODS
        if (task, method) != ("embedding", "head")  # whose head has no weights
    ],
)
def test_the_loss_falls_and_the_directory_scores_as_the_run_did(base, task, method, tmp_path):
    file = _FILES[task](tmp_path / "train")
    settings = FinetuneSettings(
        task=Task.from_options(task, {}),
        tuning=TuningMethod.from_options(method, {}),
        init_from=str(base),
        train_file=str(file),
        dev_file=str(file),
        output_dir=str(tmp_path / "out"),
        epochs=1,
        learning_rate=_RATES.get(method, 1e-2),
        batch_size=8,
        sequence_length=32,
    )
    result = finetune(settings)
    losses = [record["loss"] for record in result.training.history if "loss" in record]
    assert losses[-1] < losses[0]
    values = read_config(settings.output_dir)
    assert is_tuned_part(values) == (method != "full")
    predictor = Predictor.load(settings.output_dir, batch_size=8)
    metrics = evaluate_file(predictor, file).metrics
    best_by = result.task.best_by
    assert metrics[best_by] == result.metrics[best_by]
