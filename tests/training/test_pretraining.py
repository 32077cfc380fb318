import dataclasses
import json
import re

import numpy as np
import pytest
import tiny_corpus

from keras_bert_suite.checkpoints.model_directory import load_model, load_tokenizer, read_config
from keras_bert_suite.training.pretraining import pretrain
from keras_bert_suite.training.pretraining_settings import PretrainingSettings


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    tiny_corpus.make_corpus(directory)
    return directory


def settings(corpus, **changes):
    return PretrainingSettings(**tiny_corpus.settings_of(corpus, **changes))


@pytest.fixture(scope="module")
def run(corpus):
    """A finished run: (its outcome, its directory)."""
    lines = []
    # Enough steps to learn which words make up a topic.
    outcome = pretrain(settings(corpus, num_steps=250, checkpoint_every=250), say=lines.append)
    assert lines == [f"250 steps of 8 rows; {_weights(corpus):,} weights learn; 2 files of records"]
    return outcome, corpus / "out"


def _weights(corpus):
    model = load_model(corpus / "out")
    return sum(int(np.prod(v.shape)) for v in model.trainable_variables)


def test_leaves_a_model_directory_that_knows_more_than_unigrams(run):
    outcome, directory = run
    metrics = json.loads((directory / "metrics.json").read_text())
    assert metrics == outcome.metrics
    assert {"mlm_loss", "mlm_accuracy", "nsp_loss", "nsp_accuracy"} <= metrics.keys()
    assert metrics["mlm_perplexity"] == pytest.approx(np.exp(metrics["mlm_loss"]))
    page = (directory / "report.html").read_text()
    assert "250 of 250 steps." in page and "unigram entropy" in page
    assert "gradient norm" in page and "model flops utilisation" in page
    # 60 words about equally frequent: ln 60 = 4.09; a topic's 10 words: ln 10 = 2.30.
    assert metrics["unigram_entropy"] == pytest.approx(np.log(60), abs=0.1)
    assert metrics["mlm_loss"] < metrics["unigram_entropy"] - 0.5
    assert metrics["tokens_per_second"] > 0 and metrics["steps"] == 250
    assert load_tokenizer(directory).vocab_size == 65
    model = load_model(directory)
    assert set(model.heads) == {"mlm", "nsp"}
    config = json.loads((directory / "config.json").read_text())
    assert config["vocab_size"] == 65 and config["hidden_size"] == 32
    record = json.loads((directory / "training.json").read_text())
    assert (record["kind"], record["steps"]) == ("pretraining", 250)
    assert record["settings"]["learning_rate"] == 5e-3


def test_the_summary_says_what_was_written_and_what_comes_next(run):
    outcome, directory = run
    assert outcome.exit_status == 0
    assert outcome.summary.startswith(
        f"Wrote the model after 250 steps to {directory}: held-out MLM"
    )
    assert f"Next: bin/finetune.py --init_from={directory} " in outcome.summary
    assert "\n" not in outcome.summary


def test_the_same_command_again_changes_nothing(run, corpus):
    outcome, directory = run
    before = {p: p.stat().st_mtime_ns for p in directory.rglob("*") if p.is_file()}
    again = pretrain(settings(corpus, num_steps=250, log_every=1))
    assert again.summary == f"Finished before: {outcome.summary}"
    assert {p: p.stat().st_mtime_ns for p in directory.rglob("*") if p.is_file()} == before


def test_another_command_does_not_write_over_a_finished_run(run, corpus):
    with pytest.raises(
        ValueError, match="finished run with other settings.*seed: 0 -> 1.*another output"
    ):
        pretrain(settings(corpus, num_steps=250, seed=1))


def test_goes_on_from_a_model_directory_with_other_objectives(run, corpus, tmp_path):
    _, directory = run
    outcome = pretrain(
        settings(
            corpus,
            init_from=str(directory),
            encoder=None,
            tokenizer=None,
            objectives=("mlm",),
            masking="whole_word",
            num_steps=3,
            learning_rate=1e-6,
            log_every=3,
            eval_every=3,
            output_dir=str(tmp_path / "more"),
        )
    )
    # The weights are those of the first run: hardly moved by 3 steps of 1e-6, far from untrained.
    assert outcome.metrics["mlm_loss"] < outcome.metrics["unigram_entropy"] - 0.4
    assert "nsp_loss" not in outcome.metrics
    assert set(load_model(tmp_path / "more").heads) == {"mlm"}


def test_a_directory_of_something_else_is_not_written_over(corpus, tmp_path):
    (tmp_path / "training.json").write_text('{"kind": "finetuning"}')
    (tmp_path / "metrics.json").write_text("{}")
    with pytest.raises(ValueError, match="holds the model of another run"):
        pretrain(settings(corpus, output_dir=str(tmp_path)))
    (tmp_path / "training.json").write_text("{")
    with pytest.raises(ValueError, match="training.json or metrics.json beside it is not ours"):
        pretrain(settings(corpus, output_dir=str(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"sequence_length": 33},
            "sequence_length must not exceed.*sequence_length=33, max_positions=32",
        ),
        (
            {"global_batch_size": 10, "micro_batches": 4},
            r"must divide by replicas \* micro_batches.*global_batch_size=8",
        ),
        (
            {"encoder": "huge"},
            "must be one of tiny, mini, small, medium, base, large, .*Received: 'huge'",
        ),
        ({"masking": "words"}, "masking must be one of token, whole_word, span. Received: 'words'"),
        ({"precision": "int8"}, "precision must be one of float32, bfloat16, float16"),
        ({"strategy": "magic"}, "strategy must be one of one_device"),
        ({"warmup_steps": 40}, r"warmup_steps must be in \[0, num_steps\)"),
        ({"log_every": 0}, "log_every must be at least 1"),
    ],
)
def test_refuses(corpus, tmp_path, changes, message):
    with pytest.raises(ValueError, match=message):
        pretrain(settings(corpus, output_dir=str(tmp_path / "none"), **changes))
    assert not (tmp_path / "none").exists()


@pytest.mark.slow
def test_spans_and_their_boundaries(corpus, tmp_path):
    directory = tmp_path / "spans"
    told = settings(
        corpus,
        output_dir=str(directory),
        masking="span",
        objectives=("mlm", "sbo"),
        objective_weights=("sbo=0.5",),
    )
    metrics = pretrain(told).metrics
    logged = [json.loads(line) for line in (directory / "log.jsonl").read_text().splitlines()]
    for record in [record for record in logged if record["kind"] == "train"]:
        assert record["loss"] == pytest.approx(record["mlm_loss"] + 0.5 * record["sbo_loss"])
    assert 0 <= metrics["sbo_accuracy"] <= 1 and 0 < metrics["sbo_loss"] < 10
    assert read_config(directory)["architectures"] == ["BertForMaskedLM"]
    model = load_model(directory)
    assert set(model.heads) == {"mlm", "sbo"}
    # It goes on from its heads.
    more = {"init_from": str(directory), "encoder": None, "output_dir": str(tmp_path / "more")}
    assert pretrain(dataclasses.replace(told, **more, num_steps=1)).metrics["sbo_loss"] > 0


def test_refuses_records_of_another_tokenizer(corpus, tmp_path):
    words = [*tiny_corpus.VOCABULARY[:-1], "other"]
    from keras_bert_suite.text.tokenizer import Tokenizer

    Tokenizer(words).save(tmp_path / "vocabulary")
    with pytest.raises(ValueError, match="made with another tokenizer"):
        pretrain(
            settings(corpus, tokenizer=str(tmp_path / "vocabulary"), output_dir=str(tmp_path / "o"))
        )


def test_refuses_a_tokenizer_that_is_not_the_models(run, corpus, tmp_path):
    from keras_bert_suite.text.tokenizer import Tokenizer

    Tokenizer([*tiny_corpus.VOCABULARY[:-1], "other"]).save(tmp_path / "vocabulary")
    changes = {"encoder": None, "init_from": str(run[1]), "tokenizer": str(tmp_path / "vocabulary")}
    with pytest.raises(ValueError, match="--tokenizer must have the vocabulary of --init_from"):
        pretrain(settings(corpus, output_dir=str(tmp_path / "o"), **changes))


def test_refuses_an_encoder_for_another_vocabulary(corpus, tmp_path):
    path = tmp_path / "encoder.json"
    path.write_text(json.dumps({**tiny_corpus.ENCODER, "vocab_size": 30522}))
    with pytest.raises(ValueError, match="vocab_size must be the tokenizer's, 65. Received: 30522"):
        pretrain(settings(corpus, encoder=str(path), output_dir=str(tmp_path / "o")))


@pytest.mark.slow
def test_packed_rows_of_next_sentences_and_sentence_order(corpus, tmp_path):
    lines = []
    outcome = pretrain(
        settings(
            corpus,
            output_dir=str(tmp_path),
            objectives=("mlm", "nsp", "sop"),
            packing=True,
            short_sequence_fraction=0.9,
            num_steps=6,
        ),
        say=lines.append,
    )
    (line,) = [line for line in lines if line.startswith("packing: ")]
    examples, share = re.fullmatch(
        r"packing: (\d\.\d) examples a row, (\d\d\.\d)% of its tokens are real", line
    ).groups()
    assert float(examples) > 1.2 and float(share) > 85
    assert outcome.metrics["padding_share"] < 0.15
    assert {"nsp_accuracy", "sop_accuracy", "sop_loss"} <= outcome.metrics.keys()
    assert set(load_model(tmp_path).heads) == {"mlm", "nsp", "sop"}
