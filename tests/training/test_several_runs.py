"""Seeds and learning rates in one command, early stopping, frozen layers, on the toy task."""

import dataclasses
import json
import re
import statistics
import types

import numpy as np
import pytest
import toy_classification as toy
import toy_labeling

from keras_bert_suite.checkpoints.model_directory import load_model
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.labeling import Labeling
from keras_bert_suite.training import several_runs
from keras_bert_suite.training.best_on_dev import BestOnDev
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.tuning.full import FullTuning
from keras_bert_suite.tuning.head import HeadTuning


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("toy")
    write = toy_labeling.write_columns
    return types.SimpleNamespace(
        encoder=toy.write_model_directory(folder / "encoder"),
        train=write(folder / "train.conll", toy_labeling.sentences(48)),
        dev=write(folder / "dev.conll", toy_labeling.sentences(20, seed=1)),
    )


def settings(files, output_dir, **changes):
    told = {
        "task": Labeling(),
        "tuning": FullTuning(),
        "init_from": str(files.encoder),
        "train_file": str(files.train),
        "dev_file": str(files.dev),
        "output_dir": str(output_dir),
        "epochs": 2,
        "learning_rate": 5e-3,
        "batch_size": 8,
        "sequence_length": 16,
    }
    return FinetuneSettings(**{**told, **changes})


@pytest.mark.slow
def test_runs_of_all_rates_and_seeds(files, tmp_path):
    task = Labeling(tag_scheme="plain")  # chosen by accuracy
    told = settings(files, tmp_path / "out", task=task, learning_rate=(1e-9, 5e-3), seed=(1, 2))
    lines = []
    result = finetune(told, say=lines.append)
    metrics = json.loads((tmp_path / "out" / "metrics.json").read_text())
    assert metrics == json.loads(json.dumps(result.metrics))
    assert [(r["learning_rate"], r["seed"]) for r in metrics["runs"]] == [
        (1e-9, 1), (1e-9, 2), (5e-3, 1), (5e-3, 2),
    ]  # fmt: skip
    scores = [run["accuracy"] for run in metrics["runs"][2:]]
    assert max(run["accuracy"] for run in metrics["runs"][:2]) < max(scores)
    assert (metrics["learning_rate"], metrics["accuracy"]) == (5e-3, max(scores))
    assert metrics["mean"]["accuracy"] == statistics.fmean(scores)
    assert metrics["deviation"]["accuracy"] == statistics.stdev(scores)
    best = tmp_path / "out" / metrics["runs"][2 + scores.index(max(scores))]["directory"]
    for name in ("config.json", "model.safetensors", "vocab.txt", "training.json"):
        assert (tmp_path / "out" / name).read_bytes() == (best / name).read_bytes()
    load_model(tmp_path / "out")
    assert "best of 4 runs" in result.summary(told)
    assert re.search(r"0.005   mean  0\.\d{4} \+- 0\.\d{4}", lines[-1])


def test_the_other_dev_files_have_mean_and_deviation_too(files, tmp_path):
    """MNLI's second dev set, say."""
    scores = iter((0.5, 0.7))

    def scored(run, *, say):
        (tmp_path / "out").mkdir(exist_ok=True)
        run_dir = tmp_path / "out" / "runs" / f"learning_rate_0.005_seed_{run.seed}"
        run_dir.mkdir(parents=True)
        (run_dir / "config.json").write_text("{}")
        metrics = {"f1": 0.5, "other_dev_files": {"mm.tsv": {"f1": next(scores), "total": 3}}}
        training = types.SimpleNamespace(interrupted=None, seconds=1.0)
        return types.SimpleNamespace(
            training=training, metrics=metrics, task=Labeling(), of_several=lambda found: found
        )

    told, lines = settings(files, tmp_path / "out", seed=(1, 2)), []
    metrics = several_runs.finetune_several(told, finetune=scored, say=lines.append)
    assert metrics["mean"]["other_dev_files"]["mm.tsv"]["f1"] == pytest.approx(0.6)
    assert metrics["deviation"]["other_dev_files"]["mm.tsv"]["f1"] == pytest.approx(0.02**0.5)
    assert [run["other_dev_files"]["mm.tsv"] for run in metrics["runs"]] == [
        {"f1": 0.5}, {"f1": 0.7},
    ]  # fmt: skip
    assert lines[-1] == "                mean  0.6000 +- 0.1414 of mm.tsv"


def test_a_signal_in_the_last_steps_of_a_run_stops_the_others_too(files, tmp_path):
    calls, lines = [], []

    def signalled(run, *, say):
        calls.append(run.seed)
        training = types.SimpleNamespace(interrupted=15)
        return types.SimpleNamespace(training=training, metrics={"f1": 0.5})

    told = settings(files, tmp_path / "out", seed=(1, 2))
    result = several_runs.finetune_several(told, finetune=signalled, say=lines.append)
    assert (calls, result.training.interrupted) == ([1], 15)
    assert lines[-1] == "run 1 is finished; the same command goes on with the others."
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_run_stops_when_the_score_no_longer_rises(files, tmp_path, monkeypatch):
    score, calls = Labeling.score, []

    def falling(self, predictions, examples):
        calls.append(1)
        return {**score(self, predictions, examples), "f1": 1.0 / len(calls)}

    monkeypatch.setattr(Labeling, "score", falling)
    told = settings(files, tmp_path / "out", epochs=9, early_stopping=2)
    result = finetune(told)
    assert result.training.step == 3 * 6
    run = json.loads((tmp_path / "out" / "training.json").read_text())
    assert (run["num_steps"], run["best_step"]) == (18, 6)
    again = finetune(told)  # a finished run does not go on
    assert again.training.step == 18


def test_a_state_that_was_not_scored_is_scored_before_the_run_ends(tmp_path):
    best = BestOnDev.__new__(BestOnDev)
    best.step, best.evaluated_step, scored = 6, None, []

    def score(self, step):
        scored.append(step)
        self.evaluated_step = self.step = step

    class Rising(BestOnDev):
        __call__ = score

    best.__class__ = Rising
    assert not best.exhausted(17, patience=12) and not scored
    assert not best.exhausted(18, patience=12)
    assert scored == [18]


@pytest.mark.slow
def test_frozen_layers_keep_their_weights(files, tmp_path):
    finetune(settings(files, tmp_path / "out", epochs=1, freeze_layers=1, layer_decay=0.9))
    before, after = (load_model(p, heads=()).encoder for p in (files.encoder, tmp_path / "out"))
    same = {
        v.path: np.array_equal(v.numpy(), w.numpy())
        for v, w in zip(before.weights, after.weights, strict=True)
        if "pooler" not in v.path
    }
    for path, unchanged in same.items():
        assert unchanged == ("embeddings/" in path or "block_0" in path), path


@pytest.mark.slow
def test_head_tuning_learns_with_a_fixed_encoder(files, tmp_path):
    told = settings(files, tmp_path / "out", tuning=HeadTuning(), learning_rate=0.05, epochs=3)
    result = finetune(told)
    losses = [record["loss"] for record in result.training.history if "loss" in record]
    assert losses[-1] < losses[0] or result.metrics["f1"] > 0.5
    before, after = (load_model(p, heads=()).encoder for p in (files.encoder, tmp_path / "out"))
    for v, w in zip(before.weights, after.weights, strict=True):
        np.testing.assert_array_equal(v.numpy(), w.numpy())


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"seed": (1, 2), "dev_file": None}, "--seed as it is told needs --dev_file to compare"),
        ({"early_stopping": 1, "dev_file": None}, "--early_stopping as it is told needs --dev"),
        ({"early_stopping": 0}, "--early_stopping must be positive. Received: 0."),
        ({"seed": (1, 2), "strategy": "multi_worker"}, "does not go with --strategy=multi_worker"),
        ({"seed": (1, 1)}, "seed must be one value or several that differ. Received: (1, 1)."),
        ({"learning_rate": (1e-3, 0.0)}, "--learning_rate must be positive. Received: 0.0."),
        ({"freeze_layers": -1}, "--freeze_layers must not be negative. Received: -1."),
        ({"freeze_layers": 3}, "--freeze_layers must be in 0..2, the encoder's layers."),
        ({"layer_decay": 1.1}, "layer_decay must be in (0, 1]"),
    ],
)
def test_settings_that_cannot_be_used(files, tmp_path, changes, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        finetune(settings(files, tmp_path / "out", **changes))


@pytest.mark.slow
def test_other_dev_files_are_scored_at_the_end(files, tmp_path):
    told = settings(files, tmp_path / "out", epochs=1, dev_file=(str(files.dev), str(files.train)))
    result = finetune(told)
    (path, numbers), *more = result.metrics["other_dev_files"].items()
    assert (path, more) == (str(files.train), [])
    assert (result.metrics["num_examples"], numbers["num_examples"]) == (20, 48)


def test_one_value_in_a_list_is_one_run(files, tmp_path):
    told = settings(files, tmp_path, seed=[3], learning_rate=[1e-3])
    assert (told.seed, told.learning_rate, told.runs()) == (3, 1e-3, [told])
    other = dataclasses.replace(told, task=Classification(), seed=(1, 2))
    assert [run.seed for run in other.runs()] == [1, 2]
