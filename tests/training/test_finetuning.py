"""Fine-tuning from files to a model directory: it learns, resumes to the bit, names errors."""

import dataclasses
import json
import os
import re
import shutil
import signal
import types

import numpy as np
import pytest
import toy_classification as toy
import tuned_models
from run_binary import run_binary

from keras_bert_suite.checkpoints import adapters
from keras_bert_suite.checkpoints.model_directory import load_model, read_config
from keras_bert_suite.checkpoints.sources import is_tuned_part
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.training.best_on_dev import BestOnDev
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.prediction import Predictor, evaluate_file
from keras_bert_suite.tuning.full import FullTuning
from keras_bert_suite.tuning.lora import Lora


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """Paths of a fresh encoder, 99 rows to learn and 31 of a dev file."""
    folder = tmp_path_factory.mktemp("toy")
    return types.SimpleNamespace(
        encoder=toy.write_model_directory(folder / "encoder"),
        train=toy.write_rows(folder / "train.csv", ["text", "label"], toy.texts(99)),
        dev=toy.write_rows(folder / "dev.csv", ["text", "label"], toy.texts(31, seed=1)),
    )


def settings(files, output_dir, **changes):
    told = {
        "task": Classification(),
        "tuning": FullTuning(),
        "init_from": str(files.encoder),
        "train_file": str(files.train),
        "dev_file": str(files.dev),
        "output_dir": str(output_dir),
        "epochs": 8,
        "learning_rate": 5e-3,
        "batch_size": 8,
        "sequence_length": 16,
    }
    return FinetuneSettings(**{**told, **changes})


def weights(directory):
    return [v.numpy() for v in load_model(directory).weights]


def assert_equal_weights(one, other):
    for a, b in zip(weights(one), weights(other), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.fixture(scope="module")
def tuned(files, tmp_path_factory):
    """The settings and the result of one run."""
    told = settings(files, tmp_path_factory.mktemp("tuned"))
    lines = []
    result = finetune(told, say=lines.append)
    return types.SimpleNamespace(settings=told, result=result, lines=lines)


def test_it_learns_the_toy_task(tuned):
    assert tuned.result.metrics["accuracy"] == 1.0
    losses = [r["loss"] for r in tuned.result.training.history if "loss" in r]
    assert losses[0] > 0.8 and losses[-1] < 0.1
    assert tuned.result.task.labels == ("animal", "food", "tool")
    assert tuned.result.summary(tuned.settings).startswith(
        "classification, full tuning, dev accuracy 1.0000: 104 steps in "
    )


def test_what_it_says_before_it_trains(tuned):
    expected = r"train.csv: 99 examples of mean length \d+ tokens, 0 of them cut to 16"
    assert re.search(expected, tuned.lines[0])
    assert tuned.lines[-1].startswith("104 steps of 8 examples (8 epochs); ")


def test_what_it_leaves_behind(tuned):
    folder = tuned.settings.output_dir
    own = read_config(folder)["keras_bert_suite"]
    assert own["task"] == tuned.result.task.to_config()
    assert own["tuning"] == {"name": "full"}
    assert own["sequence_length"] == 16
    metrics = json.load(open(f"{folder}/metrics.json"))
    assert metrics == json.loads(json.dumps(tuned.result.metrics))
    run = json.load(open(f"{folder}/training.json"))
    assert run["settings"] == json.loads(json.dumps(tuned.settings.to_json()))
    assert (run["num_train_examples"], run["num_steps"]) == (99, 104)
    predictions = [json.loads(line) for line in open(f"{folder}/dev_predictions.jsonl")]
    assert [(p["text"], p["gold"]) for p in predictions] == toy.texts(31, seed=1)


def test_the_directory_scores_as_the_run_did(tuned, files):
    # The same batch size: the last digits of a matrix product depend on its shape.
    predictor = Predictor.load(tuned.settings.output_dir, batch_size=8)
    evaluation = evaluate_file(predictor, files.dev)
    for name, value in tuned.result.metrics.items():
        assert evaluation.metrics[name] == value
    lines = open(f"{tuned.settings.output_dir}/dev_predictions.jsonl")
    assert [json.loads(line) for line in lines] == evaluation.predictions


def test_an_interrupted_run_goes_on_to_the_same_bits(tuned, files, tmp_path, monkeypatch):
    told = dataclasses.replace(tuned.settings, output_dir=str(tmp_path / "out"))
    evaluate = BestOnDev.__call__

    def evaluate_and_interrupt(self, step):
        metrics = evaluate(self, step)
        if step == 39:
            os.kill(os.getpid(), signal.SIGINT)
        return metrics

    monkeypatch.setattr(BestOnDev, "__call__", evaluate_and_interrupt)
    first = finetune(told)
    assert first.training.interrupted == signal.SIGINT
    assert first.training.step < 104
    assert first.metrics is None
    assert not (tmp_path / "out" / "config.json").exists()
    monkeypatch.setattr(BestOnDev, "__call__", evaluate)
    second = finetune(told)
    assert second.metrics == tuned.result.metrics
    assert_equal_weights(tmp_path / "out", tuned.settings.output_dir)


def test_the_best_weights_are_kept_not_the_last(files, tmp_path, monkeypatch):
    """A score that falls after the first epoch leaves that epoch's weights."""
    score = Classification.score
    calls = []

    def falling(self, predictions, examples):
        calls.append(1)
        return {**score(self, predictions, examples), "accuracy": 1.0 / len(calls)}

    monkeypatch.setattr(Classification, "score", falling)
    told = settings(files, tmp_path / "three", epochs=3)
    finetune(told)
    run = json.load(open(tmp_path / "three" / "training.json"))
    assert (run["num_steps"], run["best_step"]) == (39, 13)
    kept = tmp_path / "three" / "checkpoints" / "best_on_dev"
    assert_equal_weights(tmp_path / "three", kept)


def test_from_scratch_and_without_dev_file(files, tmp_path):
    told = settings(
        files, tmp_path / "out", from_scratch=True, dev_file=None, epochs=1, learning_rate=1e-9
    )
    result = finetune(told)
    assert result.metrics is None
    assert result.summary(told).startswith("classification, full tuning: ")
    assert not (tmp_path / "out" / "metrics.json").exists()
    # So small a rate leaves the weights where they began: elsewhere than init_from's.
    fresh = load_model(tmp_path / "out").encoder.embeddings.token_embeddings.embeddings.numpy()
    began = load_model(files.encoder, heads=()).encoder
    difference = fresh - began.embeddings.token_embeddings.embeddings.numpy()
    assert np.abs(difference).mean() > 0.01
    assert fresh.std() == pytest.approx(0.1 * 0.88, rel=0.1)  # truncated normal, 2 deviations


@pytest.mark.slow
def test_from_a_tuned_part_whose_base_was_moved(files, tmp_path):
    """Full tuning begins with what LoRA and its base compute together, below the task's head."""
    base = tmp_path / "base"
    shutil.copytree(files.encoder, base)
    lora = Lora(lora_rank=2)
    tuned_models.write(base, tmp_path / "lora", lora)
    expected = adapters.merged(load_model(tmp_path / "lora")).encoder.blocks
    moved = base.rename(tmp_path / "moved")
    told = {"init_from": str(tmp_path / "lora"), "epochs": 1, "learning_rate": 1e-9}
    told |= {"dev_file": None, "batch_size": 64}
    with pytest.raises(ValueError, match="say by --base_dir"):
        finetune(settings(files, tmp_path / "out", **told))
    told["base_dir"] = str(moved)
    finetune(settings(files, tmp_path / "out", **told))
    assert not is_tuned_part(read_config(tmp_path / "out"))
    for mine, theirs in zip(load_model(tmp_path / "out").encoder.blocks, expected, strict=True):
        for a, b in zip(mine.weights, theirs.weights, strict=True):
            np.testing.assert_allclose(a, b, atol=1e-6, err_msg=a.path)
    with pytest.raises(FileNotFoundError, match="A tuned part is merged first"):
        finetune(settings(files, tmp_path / "twice", **told, tuning=lora))
    with pytest.raises(ValueError, match="--base_dir. belongs to the tuned part of a model"):
        finetune(settings(files, tmp_path / "out", base_dir=str(moved)))


def test_pairs_and_skipped_rows(files, tmp_path):
    header = ["s1", "s2", "gold"]
    rows = [*toy.pairs(30), ("", "cat", "same")]
    train = toy.write_rows(tmp_path / "train.tsv", header, rows)
    dev = toy.write_rows(tmp_path / "dev.tsv", header, [*toy.pairs(9, seed=5), ("a", "b", "odd")])
    task = Classification(text_a_column="s1", text_b_column="s2", label_column="gold")
    told = settings(
        files,
        tmp_path / "out",
        task=task,
        train_file=str(train),
        dev_file=str(dev),
        epochs=1,
        skip_bad_rows=True,
        sequence_length=8,
    )
    lines = []
    result = finetune(told, say=lines.append)
    assert result.metrics["num_examples"] == len(toy.pairs(9, seed=5))
    assert any(line.startswith("2 bad rows skipped, the first: ") for line in lines)
    run = json.load(open(tmp_path / "out" / "training.json"))
    assert run["num_bad_rows"] == 2
    assert run["num_train_truncated"] > 0


@pytest.mark.slow
def test_two_replicas_equal_one(files, tmp_path):
    """The last step has 3 rows and 5 fillers: one replica gets fillers alone."""
    told = settings(files, tmp_path / "one", epochs=1, dev_file=None)
    finetune(told)
    flags = {k: v for k, v in vars(told).items() if v is not None and k not in ("task", "tuning")}
    flags |= {"strategy": "mirrored", "output_dir": tmp_path / "two", "dev_file": files.dev}
    result = run_binary("finetune", *(f"--{name}={value}" for name, value in flags.items()))
    assert result.returncode == 0, result.stderr
    for a, b in zip(weights(tmp_path / "one"), weights(tmp_path / "two"), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_other_settings_or_rows_do_not_resume(tuned, files, tmp_path):
    with pytest.raises(ValueError, match="learning_rate"):
        finetune(dataclasses.replace(tuned.settings, learning_rate=1e-3))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"sequence_length": 33}, "must not exceed the model's max_positions, 32. Received: 33."),
        ({"epochs": 0}, "--epochs must be positive. Received: 0."),
        ({"batch_size": -1}, "--batch_size must be positive. Received: -1."),
        ({"learning_rate": 0.0}, "--learning_rate must be positive. Received: 0.0."),
        ({"warmup_fraction": 1.0}, "--warmup_fraction must be in [0, 1). Received: 1.0."),
        ({"seed": -1}, "--seed must not be negative. Received: -1."),
        ({"sequence_length": 2}, "max_length must be greater than 2"),
    ],
)
def test_settings_that_cannot_be_used(files, tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        finetune(settings(files, tmp_path / "out", **changes))
    assert not (tmp_path / "out").exists()


def test_the_result_never_overwrites_the_beginning(files):
    with pytest.raises(ValueError, match="--output_dir must not be --init_from"):
        settings(files, files.encoder)


def test_defaults_come_from_the_tuning_method(files, tmp_path):
    told = settings(files, tmp_path, epochs=None, learning_rate=None)
    assert (told.epochs, told.learning_rate) == (3, 3e-5)
