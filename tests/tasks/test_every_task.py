"""Each task from a toy file to a lower loss, through its interface alone; saved, read, exported."""

import keras
import numpy as np
import pytest
import toy_classification as toy
import toy_tasks

from keras_bert_suite.checkpoints.model_directory import load_model, save_model
from keras_bert_suite.data.bucketing import BucketedSource
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.models.encoder import Encoder
from keras_bert_suite.tasks.bad_rows import BadRows
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.prediction import Predictor, evaluate_file

_QUICK = ("classification", "cloze", "labeling", "multiple_choice")
_TASKS = [pytest.param(n, marks=() if n in _QUICK else pytest.mark.slow) for n in toy_tasks.FILES]


def test_every_task_that_learns_is_here():
    learning = {name for name, task in Task.alternatives().items() if task.learns}
    assert {name for name in learning if "test" not in name} == set(toy_tasks.FILES)


def fitted(name, folder):
    path = toy_tasks.write(name, folder / "train", count=96)
    task, examples = toy_tasks.make(name).fit(path, bad_rows=BadRows())
    task = task.for_tokenizer(toy.tokenizer())
    config = toy.encoder_config()
    keras.utils.set_random_seed(3)
    model = BertModel(Encoder(config), [task.head(config)])
    return path, task, examples, model


@pytest.mark.parametrize("name", _TASKS)
def test_an_epoch_lowers_the_loss_and_the_directory_answers_alike(name, tmp_path):
    path, task, examples, model = fitted(name, tmp_path)
    features = task.features(examples, toy.tokenizer(), max_length=24)
    source = BucketedSource(features, global_batch_size=8, seed=0)
    data = source.batches(0).take(source.steps_per_epoch)
    model.compile(optimizer=keras.optimizers.Adam(3e-3))
    before = model.evaluate(data, return_dict=True, verbose=0)["loss"]
    model.fit(source.batches(0), steps_per_epoch=source.steps_per_epoch, epochs=1, verbose=0)
    after = model.evaluate(data, return_dict=True, verbose=0)["loss"]
    assert after < before
    extra = {"task": task.to_config(), "sequence_length": 24}
    save_model(model, tmp_path / "model", tokenizer=toy.tokenizer(), extra=extra)
    predictor = Predictor(model, task=task, tokenizer=toy.tokenizer(), sequence_length=24)
    result = evaluate_file(Predictor.load(tmp_path / "model"), path)
    assert result.predictions == predictor.predict(examples)
    assert result.metrics["num_examples"] == len(examples)
    assert isinstance(result.metrics[task.best_by], float)
    assert predictor.task.report(result.metrics)
    for one, other in zip(model.weights, load_model(tmp_path / "model").weights, strict=True):
        np.testing.assert_array_equal(one.numpy(), other.numpy())


@pytest.mark.slow
@pytest.mark.parametrize("name", _TASKS)
def test_the_exported_graph_gives_the_keras_model_s_answers(name, tmp_path):
    """export_model compares them itself, in a process of its own, and refuses to publish else."""
    from keras_bert_suite.serving.saved_model import export_model

    _, task, _, model = fitted(name, tmp_path)
    extra = {"task": task.to_config(), "sequence_length": 24}
    save_model(model, tmp_path / "model", tokenizer=toy.tokenizer(), extra=extra)
    result = export_model(tmp_path / "model", tmp_path / "export")
    assert result.difference < 1e-5
    assert ("classify" in result.signatures) == bool(task.classes)
