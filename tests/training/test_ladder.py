"""The ladder on a made-up language and a task that a tiny encoder learns."""

import dataclasses
import json
import random
from pathlib import Path

import pytest
import toy_classification

from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.training import ladder
from keras_bert_suite.training.ladder import as_markdown, climb, summarize
from keras_bert_suite.training.ladder_settings import LadderSettings


@pytest.fixture(scope="module")
def settings(tmp_path_factory):
    directory = tmp_path_factory.mktemp("ladder")
    rng = random.Random(0)
    texts = [text for text, _ in toy_classification.texts(400)]
    documents = ["\n".join(rng.choices(texts, k=6)) for _ in range(60)]
    (directory / "text.txt").write_text("\n\n".join(documents) + "\n")
    toy_classification.tokenizer().save(directory / "vocabulary")
    (directory / "encoder.json").write_text(
        json.dumps(toy_classification.encoder_config().replace(num_layers=1).to_huggingface())
    )
    rows = [("text", "label"), toy_classification.texts(60), toy_classification.texts(30, seed=1)]
    return LadderSettings(
        text=str(directory / "text.txt"),
        train_file=str(toy_classification.write_rows(directory / "train.csv", rows[0], rows[1])),
        dev_file=str(toy_classification.write_rows(directory / "dev.csv", rows[0], rows[2])),
        tokenizer=str(directory / "vocabulary"),
        encoder=str(directory / "encoder.json"),
        output_dir=str(directory / "out"),
        rungs=("subword", "sbo"),
        seeds=1,
        num_steps=3,
        global_batch_size=4,
        sequence_length=32,
        epochs=1,
        finetune_sequence_length=32,
    )


@pytest.mark.slow
def test_cells_are_run_once_and_make_one_table(settings, monkeypatch):
    lines = []
    outcome = climb(settings, Classification(), say=lines.append)
    assert outcome.exit_status == 0
    assert lines[0] == "Making token records" and "sbo, seed 0" in lines
    written = json.loads((Path(settings.output_dir, "ladder.json")).read_text())
    summary = written["rungs"]
    assert list(summary) == ["subword", "sbo"]
    for rung, masking in (("subword", "token"), ("sbo", "span")):
        (accuracy,) = summary[rung]["accuracy"]["values"]
        assert 0 <= accuracy <= 1 and summary[rung]["accuracy"]["deviation"] is None
        assert f"| {rung} | {masking} | mlm+" in outcome.table
        assert 0 < summary[rung]["mlm_loss"]["mean"] < 10

    def refuse(*_):
        raise AssertionError("a finished cell was run again")

    monkeypatch.setattr(ladder, "pretrain", refuse)
    again = climb(dataclasses.replace(settings, rungs=("sbo",)), Classification())
    assert again.table.count("\n| ") == 2 and "sbo" in again.table
    with pytest.raises(ValueError, match="ladder with other settings.*num_steps: 3 -> 4"):
        climb(dataclasses.replace(settings, num_steps=4), Classification())


def test_a_signal_ends_the_ladder(settings, monkeypatch):
    class Stopped:
        metrics, exit_status = None, 143

    monkeypatch.setattr(ladder, "pretrain", lambda _: Stopped)
    outcome = climb(dataclasses.replace(settings, rungs=("span",)), Classification())
    assert (outcome.table, outcome.exit_status) == ("", 143)


def test_the_numbers_by_hand(settings):
    cells = {
        "span": [
            {"mlm_loss": 4.0, "probe": {"f1": 0.5, "other": 9}},
            {"mlm_loss": 5.0, "probe": {"f1": 0.7, "other": 9}},
        ]
    }
    summary = summarize(cells, metric="f1")
    assert summary["span"]["f1"] == {
        "values": [0.5, 0.7],
        "mean": pytest.approx(0.6),
        "deviation": pytest.approx(0.02**0.5),
    }
    table = as_markdown(summary, settings)
    assert "| span | span | mlm+nsp | 0.6000 ± 0.1414 | 4.5000 ± 0.7071 |" in table
