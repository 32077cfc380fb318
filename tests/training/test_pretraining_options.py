"""One small run with the options of large ones, and what goes on from its model."""

import json
import random

import numpy as np
import pytest
import tiny_corpus
import torch_archives
from safetensors.numpy import load_file

from keras_bert_suite.checkpoints.model_directory import load_model, load_tokenizer
from keras_bert_suite.checkpoints.model_editing import Edits, edit_model
from keras_bert_suite.data.record_making import make_records
from keras_bert_suite.training import pretraining_parts
from keras_bert_suite.training.held_out import HeldOut
from keras_bert_suite.training.pretraining import pretrain
from keras_bert_suite.training.pretraining_settings import PretrainingSettings

OPTIONS = {
    "optimizer": "lamb",
    "learning_rate": 2e-2,
    "schedule": "polynomial",
    "schedule_power": 0.5,
    "ema": 0.9,
    "rematerialize": True,
    "stages": ("16:0.8", "32:0.2"),
    "sequence_length": 128,
    "num_steps": 60,
    "spike_factor": 3.0,
    "eval_every": 10,
    "keep_best": True,
    "final_model": "best",
    "keep_checkpoints": 1,
}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    tiny_corpus.make_corpus(directory)
    return directory


def settings(corpus, **changes):
    return PretrainingSettings(**tiny_corpus.settings_of(corpus, **changes))


@pytest.fixture(scope="module")
def run(corpus):
    """(outcome, directory, lines that it said) of a run with all of OPTIONS."""
    lines = []
    outcome = pretrain(settings(corpus, **OPTIONS), say=lines.append)
    return outcome, corpus / "out", lines


def test_learns_over_both_stages_and_keeps_the_best_average(run, corpus):
    outcome, directory, lines = run
    # 8 rows of 16 have the tokens of 4 rows of 32
    assert lines[0].startswith("48 steps of 8 rows of 16, then 12 steps of 4 rows of 32; ")
    metrics = outcome.metrics
    log = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    held_out = {r["step"]: r["mlm_loss"] + r["nsp_loss"] for r in log if r["kind"] == "eval"}
    assert sorted(held_out) == [10, 20, 30, 40, 50, 60]
    best = min(held_out, key=held_out.get)
    assert (metrics["best_step"], metrics["model_step"]) == (best, best)
    assert metrics["mlm_loss"] + metrics["nsp_loss"] == held_out[best]
    assert [r["skipped_steps"] for r in log if r["kind"] == "train"] == [0] * 6
    states = sorted(path.name for path in (directory / "checkpoints").iterdir())
    assert states == sorted({f"step-{best:08d}", "step-00000060"})


def test_what_was_evaluated_is_what_was_saved(run, corpus):
    outcome, directory, _ = run
    told = settings(corpus, **OPTIONS)
    batches = pretraining_parts.evaluation_batches(told, load_tokenizer(directory))
    assert HeldOut(load_model(directory), batches)()["mlm_loss"] == pytest.approx(
        outcome.metrics["mlm_loss"], rel=1e-5
    )


@pytest.mark.parametrize("dropout", [None, 0.0, 0.3])
def test_dropout_is_the_encoders_or_the_one_told(corpus, dropout):
    told = settings(corpus, dropout=dropout)
    config = pretraining_parts.encoder_config(told, tiny_corpus.make_tokenizer())
    wanted = 0.1 if dropout is None else dropout  # BERT's own is 0.1
    assert (config.hidden_dropout, config.attention_dropout) == (wanted, wanted)


@pytest.mark.parametrize(
    ("change", "shown"),
    [
        ({"optimizer": "adamw"}, 'optimizer: "lamb" -> "adamw"'),
        ({"schedule": "cosine", "schedule_power": None}, 'schedule: "polynomial" -> "cosine"'),
        ({"schedule_power": 1.0}, "schedule_power: 0.5 -> 1.0"),
        ({"ema": None}, "ema: 0.9 -> null"),
        (
            {"stages": ("16:0.9", "32:0.1")},
            'stages: ["16:0.8", "32:0.2"] -> ["16:0.9", "32:0.1"]',
        ),
        ({"spike_factor": None}, "spike_factor: 3.0 -> null"),
    ],
)
def test_an_option_that_changes_the_weights_must_stay(run, corpus, change, shown):
    with pytest.raises(ValueError) as error:
        pretrain(settings(corpus, **{**OPTIONS, **change}))
    assert f"{shown}" in str(error.value)


def test_an_option_that_does_not_may_change(run, corpus):
    free = {"rematerialize": False, "max_bad_steps": 0, "keep_best": False, "final_model": "last"}
    outcome = pretrain(settings(corpus, **{**OPTIONS, **free}))
    assert outcome.summary.startswith("Finished before")


def test_every_stage_must_fit_the_positions_and_the_replicas(corpus, tmp_path):
    changes = {**OPTIONS, "output_dir": str(tmp_path / "none")}
    with pytest.raises(ValueError, match="sequence_length=64, max_positions=32"):
        pretrain(settings(corpus, **{**changes, "stages": ("16:0.5", "64:0.5")}))
    with pytest.raises(ValueError, match="global_batch_size=4 for rows of 32.*micro_batches=8"):
        pretrain(settings(corpus, **{**changes, "micro_batches": 8}))


NEW_WORDS = [f"zebra{letter}" for letter in "abcdefgh"]


@pytest.fixture(scope="module")
def grown(run, corpus):
    """The run's model with new words, as PyTorch stores it, and records in which they stand."""
    directory = corpus / "grown"
    # Spelt with the old words' pieces where there are any; here there are none.
    edit_model(run[1], directory, Edits(words={word: [] for word in NEW_WORDS}))
    file = directory / "model.safetensors"
    torch_archives.write(directory / "pytorch_model.bin", load_file(file))
    file.unlink()
    generator = random.Random(1)
    lines = [
        "\n".join(" ".join(generator.choices(NEW_WORDS, k=6)) for _ in range(6)) for _ in range(40)
    ]
    (corpus / "zebras.txt").write_text("\n\n".join(lines) + "\n")
    make_records(
        str(corpus / "zebras.txt"),
        make_tokenizer=lambda: load_tokenizer(directory),
        output_dir=corpus / "zebras",
        num_shards=1,
        sentences="lines",
    )
    return directory


@pytest.mark.slow
def test_goes_on_with_new_words(run, grown, corpus, tmp_path):
    tables = [
        load_model(place).encoder.embeddings.token_embeddings.embeddings.numpy()
        for place in (run[1], grown)
    ]
    count = len(tiny_corpus.VOCABULARY)
    np.testing.assert_array_equal(tables[1][:count], tables[0][:count])
    assert len(tables[1]) == count + len(NEW_WORDS)
    pretrain(
        settings(
            corpus,
            init_from=str(grown),
            encoder=None,
            tokenizer=None,
            eval_data=None,
            train_data=str(corpus / "zebras" / "*.tfrecord*"),
            objectives=("mlm",),
            num_steps=40,
            output_dir=str(tmp_path),
        )
    )
    losses = [json.loads(line)["loss"] for line in (tmp_path / "log.jsonl").open()]
    # 8 words about equally frequent: ln 8 = 2.08
    assert losses[0] > losses[-1] + 0.5 and losses[-1] < 2.6
    assert load_tokenizer(tmp_path).tokenize(["zebrac"])[0].tokens == ["zebrac"]


def test_refuses_records_without_the_new_words(grown, corpus, tmp_path):
    changes = {"encoder": None, "tokenizer": None, "output_dir": str(tmp_path / "none")}
    with pytest.raises(ValueError, match="made with another tokenizer.*make them again"):
        pretrain(settings(corpus, init_from=str(grown), **changes))
