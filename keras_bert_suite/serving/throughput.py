"""How fast a served model is beside its own graph: texts a second, and what the server adds.

    python -m keras_bert_suite.serving.throughput --model_dir=model/ --export_dir=exported/model \\
        --text=texts.txt

prints two Markdown tables. The clients run on the same machine and take their part of it. The graph
alone gets the texts tokenized, in the order of the file, by the signature `tokens`: what the server
does beyond it is to tokenize, to decode, and to talk.
"""

from __future__ import annotations

import argparse
import contextlib
import itertools
import json
import socket
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

from keras_bert_suite.serving.throughput_report import OFFLINE_ROWS, Measured, Report

_PREDICT = "/tensorflow.serving.PredictionService/Predict"
_SERVE = """
import json, sys
from keras_bert_suite.serving.server.imports import import_tensorflow
from keras_bert_suite.serving.server.options import ServerOptions
import_tensorflow()
from keras_bert_suite.serving.server import server
server.serve(ServerOptions(**json.loads(sys.argv[1])))
"""
_WARM_UP = 0.2  # of the seconds of a measurement, before it


def measure(
    model_dir: Path,
    export_dir: Path,
    texts: Sequence[str],
    *,
    clients: Sequence[int] = (1, 4, 16),
    rows: Sequence[int] = (1, 8, 32),
    seconds: float = 10.0,
    batching: str = "",
) -> Report:
    """Measures the newest version of an exported model whose only input is a text.

    Args:
      model_dir: what was exported; its tokenizer prepares the texts for the graph alone.
      export_dir: the base path.
      texts: asked in this order, again and again.
      clients, rows: every pair of them is a setting.
      seconds: of each measurement, a fifth more to warm up.
      batching: text-format BatchingParameters; empty for the server's own.

    Raises:
      ValueError: no version, no texts, or a model that takes something else.
    """
    from keras_bert_suite.serving.versions import find_versions

    versions = find_versions(export_dir)
    if not versions or not texts:
        raise ValueError(f"{export_dir} must have a version, and there must be texts.")
    graph = Graph(model_dir, versions[max(versions)], texts)
    before, p50 = graph.rate(seconds), graph.p50(seconds)
    with served(export_dir) as (call, start_seconds):
        single = ask(call, texts, clients=1, rows=1, seconds=seconds)
    settings = []
    with tempfile.NamedTemporaryFile("w", suffix=".config") as file:
        file.write(batching)
        file.flush()
        more = {"batching_parameters_file": file.name} if batching else {}
        with served(export_dir, enable_batching=True, **more) as (call, _):
            for many, each in itertools.product(clients, rows):
                settings.append(ask(call, texts, clients=many, rows=each, seconds=seconds))
    return Report(
        start_seconds=start_seconds,
        offline_rate=max(before, graph.rate(seconds)),
        offline_p50=p50,
        single=single,
        settings=settings,
    )


class Graph:
    """The exported graph in this process, fed with token ids."""

    def __init__(self, model_dir: Path, version_dir: Path, texts: Sequence[str]):
        from keras_bert_suite.checkpoints.model_directory import load_tokenizer
        from keras_bert_suite.serving.server.servable import Servable
        from keras_bert_suite.serving.versions import DESCRIPTION_FILE

        self._servable = Servable(version_dir, name="graph", version=1)
        signatures = self._servable.signatures
        if list(signatures["serving_default"].inputs) != ["text"]:
            raise ValueError(
                "The model must take one text. It takes: "
                f"{', '.join(signatures['serving_default'].inputs)}"
            )
        self._signature = signatures["tokens"]
        # As many answers as the text signature has, where it has the same.
        both = set(self._signature.outputs) & set(signatures["serving_default"].outputs)
        self._outputs = sorted(both)
        described = json.loads((version_dir / DESCRIPTION_FILE).read_text(encoding="utf-8"))
        tokenizer, length = load_tokenizer(model_dir), described["max_length"]
        self._batches = [
            self._batch(tokenizer, part, length) for part in _parts(texts, OFFLINE_ROWS)
        ]
        self._single = [self._batch(tokenizer, [text], length) for text in texts[:200]]

    def rate(self, seconds: float) -> float:
        """Texts a second in batches."""
        done, end = 0, 0.0
        start = self._after_warm_up(self._batches, seconds)
        for batch in itertools.cycle(self._batches):
            self._run(batch)
            done += len(batch["token_ids"])
            end = time.perf_counter()
            if end - start >= seconds:
                break
        return done / (end - start)

    def p50(self, seconds: float) -> float:
        """Seconds for one text."""
        taken = []
        start = self._after_warm_up(self._single, seconds)
        for batch in itertools.cycle(self._single):
            begun = time.perf_counter()
            self._run(batch)
            taken.append(time.perf_counter() - begun)
            if time.perf_counter() - start >= seconds:
                break
        return statistics.median(taken)

    def _after_warm_up(self, batches: Sequence[dict[str, np.ndarray]], seconds: float) -> float:
        start = time.perf_counter()
        for batch in itertools.cycle(batches):
            self._run(batch)
            if time.perf_counter() - start >= _WARM_UP * seconds:
                break
        return time.perf_counter()

    def _batch(self, tokenizer, texts: Sequence[str], length: int) -> dict[str, np.ndarray]:
        batch = tokenizer(list(texts), max_length=length)
        return {alias: np.asarray(batch[alias]) for alias in self._signature.inputs}

    def _run(self, batch: dict[str, np.ndarray]) -> None:
        self._servable.run(self._signature, batch, self._outputs)


@contextlib.contextmanager
def served(export_dir: Path, **options) -> Iterator[tuple[Callable[[bytes], object], float]]:
    """(call, seconds to the first answer): call(serialized PredictRequest) asks a fresh server."""
    import grpc

    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    options |= {"port": port, "model_base_path": str(export_dir), "grpc_max_threads": 32}
    start = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVE, json.dumps(options)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        with grpc.insecure_channel(
            f"127.0.0.1:{port}",
            options=[
                ("grpc.initial_reconnect_backoff_ms", 100),
                ("grpc.max_reconnect_backoff_ms", 100),
            ],
        ) as channel:
            call = channel.unary_unary(_PREDICT)
            call(_request(["first"]), timeout=120, wait_for_ready=True)
            seconds = time.perf_counter() - start
            yield lambda payload: call(payload, timeout=60), seconds
    finally:
        process.terminate()
        process.wait()


def ask(
    call: Callable[[bytes], object],
    texts: Sequence[str],
    *,
    clients: int,
    rows: int,
    seconds: float,
) -> Measured:
    """Clients that ask without pause; each begins at another place of the texts."""
    requests = [(len(part), _request(part)) for part in _parts(texts, rows)]
    begin = time.perf_counter() + _WARM_UP * seconds
    end = begin + seconds
    taken: list[float] = []
    counts: list[int] = []
    errors: list[Exception] = []

    def work(index: int) -> None:
        first = index * len(requests) // clients
        try:
            for size, payload in itertools.islice(itertools.cycle(requests), first, None):
                start = time.perf_counter()
                if start >= end:
                    return
                call(payload)
                if start >= begin:
                    taken.append(time.perf_counter() - start)
                    counts.append(size)
        except Exception as error:  # told by the thread that waits
            errors.append(error)

    threads = [threading.Thread(target=work, args=(index,)) for index in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    if not taken:
        raise ValueError(
            f"No request began within the {seconds} s of the measurement, so long took the one "
            "before. Remedy: measure for more seconds."
        )
    # The last answers come after the end; the time goes on until then.
    elapsed = time.perf_counter() - begin
    return Measured(
        clients=clients,
        rows=rows,
        rate=sum(counts) / elapsed,
        p50=float(np.percentile(taken, 50)),
        p99=float(np.percentile(taken, 99)),
    )


def _request(texts: Sequence[str]) -> bytes:
    from tensorflow.core.framework import types_pb2
    from tensorflow_serving.apis import predict_pb2

    request = predict_pb2.PredictRequest()
    request.model_spec.name = "default"
    tensor = request.inputs["text"]
    tensor.dtype = types_pb2.DT_STRING
    tensor.tensor_shape.dim.add().size = len(texts)
    tensor.string_val.extend(text.encode() for text in texts)
    return request.SerializeToString()


def _parts(texts: Sequence[str], size: int) -> list[Sequence[str]]:
    """Full parts alone, or one that is shorter where there is no more."""
    parts = [texts[start : start + size] for start in range(0, len(texts), size)]
    return [part for part in parts if len(part) == size] or parts


def main(argv: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model_dir", type=Path, required=True)
    parser.add_argument("--export_dir", type=Path, required=True)
    parser.add_argument("--text", type=Path, required=True, help="UTF-8, one text a line")
    parser.add_argument("--clients", type=int, nargs="+", default=[1, 4, 16])
    parser.add_argument("--rows", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--batching_parameters_file", type=Path)
    flags = parser.parse_args(argv)
    file = flags.batching_parameters_file
    report = measure(
        flags.model_dir,
        flags.export_dir,
        [line for line in flags.text.read_text(encoding="utf-8").splitlines() if line.strip()],
        clients=flags.clients,
        rows=flags.rows,
        seconds=flags.seconds,
        batching=file.read_text(encoding="utf-8") if file else "",
    )
    print(report.markdown())


if __name__ == "__main__":
    main(sys.argv[1:])
