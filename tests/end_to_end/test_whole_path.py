"""From raw documents to answers over gRPC, with the binaries alone, on a language of 30 words."""

from __future__ import annotations

import contextlib
import json
import random
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import toy_classification
from run_binary import run_binary

_ENCODER = {
    "hidden_size": 32,
    "num_hidden_layers": 1,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "max_position_embeddings": 32,
}
_LONG = "naïve 漢字 the cow" + " old" * 99
_TEXTS = ["the old red cat", "Soup with some BREAD", "one drill", _LONG]


def _run(name, *arguments):
    result = run_binary(name, *arguments, timeout=240)
    assert result.returncode == 0, f"{name}: {result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.fixture(scope="module")
def model_dir(tmp_path_factory):
    """A classifier that was pre-trained and fine-tuned by the binaries."""
    directory = tmp_path_factory.mktemp("path")
    generator = random.Random(0)
    sentences = [text for text, _ in toy_classification.texts(600, seed=1)]
    documents = ["\n".join(sentences[i : i + 6]) for i in range(0, len(sentences), 6)]
    generator.shuffle(documents)
    (directory / "documents.txt").write_text("\n\n".join(documents) + "\n")
    (directory / "encoder.json").write_text(json.dumps(_ENCODER))
    rows = [(text, label) for text, label in toy_classification.texts(200, seed=2)]
    toy_classification.write_rows(directory / "train.tsv", ("text", "label"), rows[:160])
    toy_classification.write_rows(directory / "dev.tsv", ("text", "label"), rows[160:])

    _run(
        "make_vocabulary",
        f"--input={directory}/documents.txt",
        f"--output_dir={directory}/vocabulary",
        "--vocab_size=80",
    )
    _run(
        "make_pretraining_data",
        f"--input={directory}/documents.txt",
        f"--tokenizer={directory}/vocabulary",
        f"--output_dir={directory}/records",
        "--sentences=lines",
        "--num_shards=2",
        "--eval_fraction=0.2",
    )
    _run(
        "pretrain",
        f"--train_data={directory}/records/train-*",
        f"--eval_data={directory}/records/eval-*",
        f"--tokenizer={directory}/vocabulary",
        f"--encoder={directory}/encoder.json",
        "--sequence_length=32",
        "--global_batch_size=8",
        "--num_steps=20",
        f"--output_dir={directory}/pretrained",
    )
    summary = _run(
        "finetune",
        "--task=classification",
        f"--init_from={directory}/pretrained",
        f"--train_file={directory}/train.tsv",
        f"--dev_file={directory}/dev.tsv",
        "--epochs=30",
        "--batch_size=16",
        "--learning_rate=1e-3",
        "--sequence_length=32",
        "--seed=1",  # some seeds never learn one of the three labels
        f"--output_dir={directory}/classifier",
    )
    assert "bin/export_model.py" in summary  # the command that comes next
    return directory / "classifier"


@pytest.fixture(scope="module")
def expected(model_dir):
    """The answers of bin/predict.py to _TEXTS."""
    questions, answers = model_dir.parent / "questions.jsonl", model_dir.parent / "answers.jsonl"
    questions.write_text("".join(json.dumps({"text": text}) + "\n" for text in _TEXTS))
    _run("predict", f"--model_dir={model_dir}", f"--input={questions}", f"--output={answers}")
    return [json.loads(line)["prediction"] for line in answers.read_text().splitlines()]


@pytest.fixture(scope="module")
def export_dir(model_dir):
    """EXPORT_DIR with version 1, moved after it was written."""
    written, moved = model_dir.parent / "export", model_dir.parent / "moved" / "toys"
    _run("export_model", f"--model_dir={model_dir}", f"--export_dir={written}", "--version=1")
    moved.parent.mkdir()
    written.rename(moved)
    return moved


@contextlib.contextmanager
def _served(export_dir):
    """Runs bin/serve.py; gives its gRPC and REST addresses."""
    serve = Path(__file__).resolve().parents[2] / "bin" / "serve.py"
    with socket.socket() as one, socket.socket() as two:
        one.bind(("127.0.0.1", 0))
        two.bind(("127.0.0.1", 0))
        port, rest_port = one.getsockname()[1], two.getsockname()[1]
    flags = [f"--model_base_path={export_dir}", f"--port={port}", f"--rest_api_port={rest_port}"]
    process = subprocess.Popen(
        [sys.executable, serve, "--model_name=toys", *flags], stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout.readline().startswith("Serving toys version 1")
        yield f"127.0.0.1:{port}", f"127.0.0.1:{rest_port}"
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(timeout=60) == 0


def _check(answers, expected, labels):
    assert [answer["label"] for answer in answers] == [answer["label"] for answer in expected]
    for answer, wanted in zip(answers, expected, strict=True):
        scores = [wanted["scores"][label] for label in labels]
        assert answer["scores"] == pytest.approx(scores, abs=1e-5)


def test_the_classifier_learnt(model_dir, expected):
    assert [answer["label"] for answer in expected[:3]] == ["animal", "food", "tool"]
    assert json.loads((model_dir / "metrics.json").read_text())["accuracy"] >= 0.8
    metrics = json.loads((model_dir.parent / "pretrained" / "metrics.json").read_text())
    assert 0 < metrics["mlm_loss"] < 4.4  # ln 80 = 4.38, what guessing would give


def test_grpc_and_rest_answer_as_predict_does(export_dir, model_dir, expected):
    config = json.loads((model_dir / "config.json").read_text())
    labels = config["keras_bert_suite"]["task"]["labels"]
    texts = [f"--text={text}" for text in _TEXTS]
    with _served(export_dir) as (grpc, rest):
        for flags in ([f"--server={grpc}"], [f"--server={rest}", "--rest"]):
            answers = _run("query", *flags, "--model_name=toys", *texts).splitlines()
            _check([json.loads(answer) for answer in answers], expected, labels)


def test_tensorflows_own_loader_answers_alike(export_dir, expected, model_dir, kbs_data):
    """TF_LoadSessionFromSavedModel, as TF Serving uses it, in a process without our package."""
    runner = kbs_data.parent / "tools" / "saved_model_runner.py"
    if not runner.exists():
        pytest.skip(f"{runner} is not there")

    def text(shape, *data):
        return {"text": {"dtype": "string", "shape": shape, "data": list(data)}}

    inputs = [
        text([len(_TEXTS)], *_TEXTS),
        text([], "a scalar"),
        text([1, 1], "of rank 2"),
        text([0]),
        text([len(_TEXTS)], *_TEXTS),  # the process lives and answers as before
    ]
    requests = [json.dumps({"signature": "serving_default", "inputs": one}) for one in inputs]
    import tensorflow

    site = Path(tensorflow.__file__).parents[1]
    command = [sys.executable, "-I", runner, export_dir / "1", "--site-packages", site]
    result = subprocess.run(
        command, input="\n".join(requests), capture_output=True, text=True, timeout=120
    )
    assert result.returncode == 0, result.stderr
    first, scalar, rank_2, empty, again = map(json.loads, result.stdout.splitlines())
    config = json.loads((model_dir / "config.json").read_text())
    labels = config["keras_bert_suite"]["task"]["labels"]
    for answer in (first, again):
        scores, names = answer["outputs"]["scores"], answer["outputs"]["label"]["data"]
        width = scores["shape"][1]
        rows = [scores["data"][i * width : (i + 1) * width] for i in range(len(_TEXTS))]
        answers = [{"label": n, "scores": r} for n, r in zip(names, rows, strict=True)]
        _check(answers, expected, labels)
    assert "error" in scalar and "error" in rank_2
    assert "error" in empty or empty["outputs"]["scores"]["shape"] == [0, len(labels)]
