#!/usr/bin/env python3
"""Runs the steps of bin/demo and writes its page. Start it as bin/demo.

Example:
  bin/demo --output_dir=demo_output
"""

from __future__ import annotations

import contextlib
import json
import math
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import _demo_page as page
from absl import flags

from keras_bert_suite import cli
from keras_bert_suite.files import atomic_write

_OUTPUT_DIR = flags.DEFINE_string(
    "output_dir", "demo_output", "Where everything goes; what an earlier demo left is replaced."
)
_STEPS = flags.DEFINE_integer(
    "pretraining_steps",
    None,
    "By default what two cores compute in about five minutes. With fewer the page comes sooner, "
    "and what was learnt is not checked.",
)

_BIN = Path(__file__).resolve().parent
_MARK = "made_by_bin_demo"  # the directory may be deleted
_SERVER_SECONDS = 120  # to load TensorFlow and the model on a slow machine

# Without dropout: nobody over-fits in five minutes.
_ENCODER = {
    "num_hidden_layers": 2,
    "hidden_size": 256,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "hidden_dropout_prob": 0.0,
    "attention_probs_dropout_prob": 0.0,
}

_TEXTS = [
    "Computes the gradient of a loss with respect to the variables of the graph.",
    "Open a connection to the host and read the response line by line.",
    "Uploads the files of a folder to a repository and returns the address of the commit.",
]


class Steps:
    """Runs the binaries one after the other, shows every command, keeps the seconds."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}

    def run(self, title: str, binary: str, **values: object) -> str:
        """Runs `bin/<binary>.py` with flags; gives what it printed on stdout and shows it too.

        Raises:
          ValueError: it failed; its error stands above.
        """
        with self.timed(title):
            result = subprocess.run(command(binary, **values), stdout=subprocess.PIPE, text=True)
            print(result.stdout, end="", flush=True)
        if result.returncode:
            raise ValueError(f"the step {title!r} failed with exit status {result.returncode}")
        return result.stdout

    @contextlib.contextmanager
    def timed(self, title: str) -> Iterator[None]:
        print(f"\n== {title}", flush=True)
        start = time.monotonic()
        yield
        self.seconds[title] = time.monotonic() - start


def command(binary: str, **values: object) -> list[str]:
    """The command line of a binary, which is printed as a reader would type it."""
    arguments, shown = [], [f"bin/{binary}.py"]
    for name, value in values.items():
        for item in value if isinstance(value, list) else [value]:
            arguments.append(f"--{name}" if item is True else f"--{name}={item}")
            shown.append(f"--{name}" if item is True else f"--{name}={shlex.quote(str(item))}")
    print("$ " + " ".join(shown), flush=True)
    return [sys.executable, str(_BIN / f"{binary}.py"), *arguments]


def main(argv: list[str]) -> int:
    del argv
    start = time.monotonic()
    directory = _fresh(Path(_OUTPUT_DIR.value))
    precision, steps = ("bfloat16", 2400) if _computes_bfloat16() else ("float32", 1600)
    full = _STEPS.value is None or _STEPS.value >= steps
    steps = _STEPS.value or steps

    runner = Steps()
    results: dict[str, Any] = {"precision": precision}
    results["data"] = _make_data(runner, directory)
    results["pretraining"] = _pretrain(runner, directory, precision=precision, steps=steps)
    results["finetuning"] = _finetune(runner, directory)
    results["serving"] = _serve(runner, directory)
    results["seconds"] = runner.seconds
    results["total_seconds"] = time.monotonic() - start
    results["checks"] = page.checks(results, learnt=full)
    text = page.text(results)
    with atomic_write(directory / "page.txt") as file:
        file.write(text)
    with atomic_write(directory / "page.json") as file:
        json.dump(results, file, indent=2)
    print(f"\n{text}\nThis page is in {directory / 'page.txt'}, as JSON in page.json.")
    return 0 if all(results["checks"].values()) else 1


def _fresh(directory: Path) -> Path:
    """An empty directory; what an earlier demo made is deleted.

    Raises:
      ValueError: something else is there.
    """
    if directory.exists() and not (directory / _MARK).exists() and any(directory.iterdir()):
        raise ValueError(
            f"--output_dir={directory} holds something that is not a demo's. Choose another one."
        )
    shutil.rmtree(directory, ignore_errors=True)
    directory.mkdir(parents=True)
    (directory / _MARK).touch()
    return directory


def _computes_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 matrices itself: about twice as fast."""
    with contextlib.suppress(OSError):
        return bool({"avx512_bf16", "amx_bf16"} & set(Path("/proc/cpuinfo").read_text().split()))
    return False


def _make_data(runner: Steps, directory: Path) -> dict:
    data = directory / "data"
    runner.run("data from docstrings", "make_demo_data", train_rows=500, output_dir=data)
    runner.run(
        "vocabulary",
        "make_vocabulary",
        input=data / "text" / "train.jsonl",
        vocab_size=8000,
        output_dir=directory / "vocabulary",
    )
    for split, records in (("train", "records"), ("dev", "records_dev")):
        runner.run(
            f"token records of {split}",
            "make_pretraining_data",
            input=data / "text" / f"{split}.jsonl",
            tokenizer=directory / "vocabulary",
            num_shards=4 if split == "train" else 1,
            output_dir=directory / records,
        )
    return json.loads((data / "stats.json").read_text())


def _pretrain(runner: Steps, directory: Path, *, precision: str, steps: int) -> dict:
    encoder = directory / "encoder.json"
    encoder.write_text(json.dumps(_ENCODER, indent=2) + "\n")
    print(f"\n{encoder} says: {json.dumps(_ENCODER)}")
    runner.run(
        "pre-training",
        "pretrain",
        train_data=directory / "records" / "train-*",
        eval_data=directory / "records_dev" / "train-*",
        tokenizer=directory / "vocabulary",
        encoder=encoder,
        sequence_length=128,
        global_batch_size=16,
        num_steps=steps,
        learning_rate=1e-3,
        precision=precision,
        log_every=200,
        output_dir=directory / "pretrained",
    )
    return json.loads((directory / "pretrained" / "metrics.json").read_text())


def _finetune(runner: Steps, directory: Path) -> dict:
    rows = directory / "data" / "package"
    accuracy = {}
    for name, scratch in (("from scratch", True), ("pre-trained", False)):
        model = directory / f"package_{name.replace(' ', '_').replace('-', '')}"
        runner.run(
            f"fine-tuning, {name}",
            "finetune",
            task="classification",
            init_from=directory / "pretrained",
            from_scratch=[True] if scratch else [],
            train_file=rows / "train.tsv",
            dev_file=rows / "dev.tsv",
            epochs=10,
            learning_rate=3e-4,
            batch_size=16,
            output_dir=model,
        )
        runner.run(
            f"evaluation, {name}",
            "evaluate",
            model_dir=model,
            data_file=rows / "test.tsv",
            output_dir=directory / "scores" / name.replace(" ", "_"),
        )
        scores = directory / "scores" / name.replace(" ", "_") / "metrics.json"
        metrics = json.loads(scores.read_text())
        accuracy[name] = metrics["accuracy"]
        accuracy["majority class"] = metrics["majority_accuracy"]
    return {"accuracy": accuracy, "test_rows": metrics["num_examples"]}


def _serve(runner: Steps, directory: Path) -> dict:
    model, export = directory / "package_pretrained", directory / "export" / "package"
    runner.run("export", "export_model", model_dir=model, export_dir=export, version=1)
    questions = directory / "questions.jsonl"
    questions.write_text("".join(json.dumps({"text": text}) + "\n" for text in _TEXTS))
    answers = directory / "answers.jsonl"
    runner.run("prediction", "predict", model_dir=model, input=questions, output=answers)
    expected = [json.loads(line)["prediction"] for line in answers.read_text().splitlines()]
    with _server(runner, export) as (port, rest_port):
        grpc = runner.run(
            "query over gRPC",
            "query",
            server=f"127.0.0.1:{port}",
            model_name="package",
            text=_TEXTS,
        )
        rest = runner.run(
            "query over REST",
            "query",
            server=f"127.0.0.1:{rest_port}",
            model_name="package",
            rest=True,
            text=_TEXTS,
        )
    labels = json.loads((directory / "data" / "stats.json").read_text())["package_labels"]
    return {
        "texts": _TEXTS,
        "labels": [answer["label"] for answer in expected],
        "scores": [answer["score"] for answer in expected],
        "difference": {
            "gRPC": _largest_difference(grpc, expected, labels),
            "REST": _largest_difference(rest, expected, labels),
        },
    }


@contextlib.contextmanager
def _server(runner: Steps, export: Path) -> Iterator[tuple[int, int]]:
    """Serves the export while the block runs; gives the ports of gRPC and REST.

    Raises:
      ValueError: it did not become ready, or did not end well.
    """
    port, rest_port = _free_ports(2)
    with runner.timed("server"):
        arguments = command(
            "serve",
            model_name="package",
            model_base_path=export,
            port=port,
            rest_api_port=rest_port,
        )
        process = subprocess.Popen(arguments)
    try:
        with runner.timed("waiting for the server"):
            _wait_until_available(process, rest_port)
        yield port, rest_port
    finally:
        process.send_signal(signal.SIGTERM)
        status = process.wait(timeout=60)
    if status:
        raise ValueError(f"the server ended with exit status {status}")


def _free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def _wait_until_available(process: subprocess.Popen, rest_port: int) -> None:
    address = f"http://127.0.0.1:{rest_port}/v1/models/package"
    deadline = time.monotonic() + _SERVER_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise ValueError(f"the server ended with exit status {process.returncode}")
        with contextlib.suppress(OSError), urllib.request.urlopen(address, timeout=5) as answer:
            if b"AVAILABLE" in answer.read():
                return
        time.sleep(0.2)
    raise ValueError(f"the server was not ready after {_SERVER_SECONDS} seconds")


def _largest_difference(lines: str, expected: list[dict], labels: list[str]) -> float:
    """Between the scores that came back and those computed in process; inf for another label."""
    answers = [json.loads(line) for line in lines.splitlines()]
    if [one["label"] for one in answers] != [one["label"] for one in expected]:
        return math.inf
    return max(
        abs(score - wanted["scores"][label])
        for answer, wanted in zip(answers, expected, strict=True)
        for label, score in zip(labels, answer["scores"], strict=True)
    )


if __name__ == "__main__":
    cli.run(main)
