"""A server in a process of its own, and the small models that it serves."""

from __future__ import annotations

import contextlib
import dataclasses
import importlib.util
import json
import os
import queue
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def contract_models():
    """The module contract_models.py beside this file."""
    return _neighbour("contract_models")


@pytest.fixture(scope="session")
def tiny_models():
    """The module tiny_models.py beside this file."""
    return _neighbour("tiny_models")


@pytest.fixture(scope="session")
def runner(request):
    """runner(version directory, requests, python=sys.executable) -> answers, as JSON values.

    They come from TensorFlow's C API alone, by the program $KBS_RUNNER; without that,
    tools/saved_model_runner.py beside the reference data. `python` has the TensorFlow to load.
    """
    script = os.environ.get("KBS_RUNNER")
    if not script:
        tools = request.getfixturevalue("kbs_data").parent / "tools"
        script = tools / "saved_model_runner.py"
    if not Path(script).exists():
        pytest.skip(f"no {script}; set KBS_RUNNER to a program that runs SavedModels")

    def run(path, requests, *, python=sys.executable):
        result = subprocess.run(
            [python, "-I", script, path],
            input="\n".join(map(json.dumps, requests)),
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert result.returncode == 0, result.stderr[-2000:]
        return [json.loads(line) for line in result.stdout.splitlines()]

    return run


@pytest.fixture(scope="session")
def contract_config(contract_models, tmp_path_factory) -> Path:
    """The config file of half_plus_two (versions 1 and 2) and echo (version 7)."""
    return contract_models.write_all(tmp_path_factory.mktemp("contract"))


@pytest.fixture(scope="session")
def self_signed():
    """self_signed(directory, name="localhost") -> files of a key and of its certificate, PEM."""

    def make(directory: Path, name: str = "localhost") -> tuple[Path, Path]:
        key, certificate = directory / f"{name}.key", directory / f"{name}.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj"]
            + [f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", str(key)]
            + ["-out", str(certificate)],
            check=True,
            capture_output=True,
        )
        return key, certificate

    return make


@dataclasses.dataclass
class ServerProcess:
    """bin/serve.py at work; `log` is what it wrote to stderr so far, in lines."""

    process: subprocess.Popen
    grpc: str
    rest: str
    ready: str
    log: list[str] = dataclasses.field(default_factory=list)

    def stop(self) -> int:
        """Ends it by SIGTERM and returns its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=40)


@pytest.fixture(scope="session")
def start_server(repository):
    """start_server(*flags) -> ServerProcess that is ready; all are killed at the end.

    `ports`, two addresses of a server that is gone, is for its successor.
    """
    started = []

    def start(*flags: str, ports: tuple[str, str] | None = None) -> ServerProcess:
        ports = [int(each.split(":")[1]) for each in ports] if ports else free_ports(2)
        command = [sys.executable, "bin/serve.py", f"--port={ports[0]}", *flags]
        process = subprocess.Popen(
            [*command, f"--rest_api_port={ports[1]}"],
            cwd=repository,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        addresses = [f"127.0.0.1:{port}" for port in ports]
        return ServerProcess(process, *addresses, *_ready_line(process))

    yield start
    for process in started:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        process.wait()


@pytest.fixture(scope="session")
def server(request):
    """bin/serve.py with the contract models; a real TF Serving when TFS_ADDRESS is set."""
    grpc_address = os.environ.get("TFS_ADDRESS")
    if grpc_address:
        rest = os.environ.get("TFS_REST_ADDRESS", "")
        return ServerProcess(None, grpc_address, rest, "")
    config = request.getfixturevalue("contract_config")
    return request.getfixturevalue("start_server")(f"--model_config_file={config}")


def free_ports(count: int) -> list[int]:
    with contextlib.ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _ready_line(process: subprocess.Popen) -> tuple[str, list[str]]:
    """The first line of stdout, and stderr's, read on and on, or the server would wait for us."""
    lines: queue.Queue[str] = queue.Queue()
    errors: list[str] = []

    def read_errors():
        errors.extend(process.stderr)

    threading.Thread(target=lambda: lines.put(process.stdout.readline()), daemon=True).start()
    threading.Thread(target=read_errors, daemon=True).start()
    line = lines.get(timeout=90)
    assert line, f"the server ended: {''.join(errors)[-2000:]}"
    return line, errors


def _neighbour(name: str):
    path = Path(__file__).with_name(f"{name}.py")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
