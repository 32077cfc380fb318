"""Every task with every tuning method, from files to a directory that answers: the loss falls."""

import keras
import numpy as np
import pytest
import toy_classification as toy
import toy_tasks

from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.checkpoints.model_directory import read_config, save_model
from keras_bert_suite.checkpoints.sources import is_tuned_part
from keras_bert_suite.data.bucketing import evaluation_batches
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.models.heads.masked_lm import MaskedLMHead
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.tuning.method import TuningMethod

_RATES = {"full": 3e-3, "head": 1e-2, "bitfit": 1e-2}
_METHODS = ("full", "head", "bitfit", "lora", "houlsby", "pfeiffer", "prefix", "prompt")
_QUICK = {("classification", "lora")}


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    """A fresh encoder with a masked-LM head, the same whatever ran before."""
    keras.utils.set_random_seed(0)
    config = toy.encoder_config()
    path = tmp_path_factory.mktemp("base") / "encoder"
    model = BertModel(Encoder(config), [MaskedLMHead.for_encoder(config)])
    save_model(model, path, tokenizer=toy.tokenizer())
    return path


@pytest.mark.parametrize(
    "task, method",
    [
        pytest.param(task, method, marks=() if (task, method) in _QUICK else pytest.mark.slow)
        for task in toy_tasks.FILES
        for method in _METHODS
        if (task, method) != ("embedding", "head")  # whose head has no weights
    ],
)
def test_the_loss_falls_and_the_directory_scores_as_the_run_did(base, task, method, tmp_path):
    file = toy_tasks.write(task, tmp_path / "train", count=192)
    settings = FinetuneSettings(
        task=toy_tasks.make(task),
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
    # A single batch of 8 is noise: the best of the second half against the first of all.
    assert min(losses[len(losses) // 2 :]) < losses[0], losses
    values = read_config(settings.output_dir)
    assert is_tuned_part(values) == (method != "full")
    predictor = Predictor.load(settings.output_dir, batch_size=8)
    metrics = evaluate_file(predictor, file).metrics
    best_by = result.task.best_by
    assert metrics[best_by] == result.metrics[best_by]
    _check_saved_again(predictor, file, tmp_path / "again")


def _check_saved_again(predictor, file, directory):
    """Saved and loaded the outputs are the same to the bit; merged they are the same to 1e-5."""
    task = predictor.task
    features = predictor.features(task.read(file, bad_rows=BadRows()))
    batch = next(iter(evaluation_batches(features, batch_size=8)[0]))
    expected = predictor.model(batch)
    extra = {"task": task.to_config(), "sequence_length": 32}
    save_model(predictor.model, directory, tokenizer=predictor.tokenizer, extra=extra)
    again = Predictor.load(directory).model
    for name, values in again(batch).items():
        np.testing.assert_array_equal(values, expected[name], err_msg=name)
    for name, values in adapters.merged_if_possible(again)(batch).items():
        np.testing.assert_allclose(values, expected[name], 1e-5, 1e-5, err_msg=name)
