"""bin/serve.py as a process: ready line, port in use, refusals, the end."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import sys
import threading
import time
import urllib.request
from pathlib import Path

import pytest
from run_binary import run_binary


def _load_conftest():
    path = Path(__file__).parents[1] / "serving" / "conftest.py"
    spec = importlib.util.spec_from_file_location("serving_conftest", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["serving_conftest"] = module
    spec.loader.exec_module(module)
    return module


serving = _load_conftest()
contract_models, contract_config = serving.contract_models, serving.contract_config
start_server = serving.start_server


def last_line(result):
    assert result.returncode == 1
    return result.stderr.strip().splitlines()[-1]


def test_from_ready_line_to_sigterm(start_server, contract_config, repository):
    base_path = contract_config.parent / "half_plus_two"
    server = start_server("--model_name=half", f"--model_base_path={base_path}")
    assert server.ready == (
        f"Serving half version 2: gRPC on {server.grpc}, REST on http://{server.rest}/v1/models/\n"
    )
    url = f"http://{server.rest}/v1/models/half:predict"
    request = urllib.request.Request(url, b'{"instances": [2.0]}')
    assert json.load(urllib.request.urlopen(request)) == {"predictions": [4.0]}

    port = server.grpc.split(":")[1]
    result = run_binary("serve", f"--model_base_path={base_path}", f"--port={port}")
    assert last_line(result).startswith(
        f"error: Cannot listen on 127.0.0.1:{port}: Address already in use."
    )

    shutil.copytree(base_path / "2", base_path / ".3")
    (base_path / ".3").rename(base_path / "3")
    loaded = []
    deadline = time.monotonic() + 30
    while len(loaded) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        loaded = [line.split(" INFO ")[1] for line in server.log if " INFO Loaded " in line]
    shutil.rmtree(base_path / "3")
    assert loaded == ["Loaded model half version 2\n", "Loaded model half version 3\n"]

    errors = []
    stop = threading.Event()

    def ask():
        while not stop.is_set():
            try:
                assert json.load(urllib.request.urlopen(request)) == {"predictions": [4.0]}
            except OSError as error:
                # Refused at the door is fine, and so is a connection that reached the kernel in
                # the instant in which the port closed; an answer cut off is not.
                errors.append(error)
                return

    thread = threading.Thread(target=ask)
    thread.start()
    assert server.stop() == 0
    stop.set()
    thread.join()
    assert all("refused" in str(one) or "reset" in str(one) for one in errors), errors


@pytest.mark.parametrize(
    "flags, message",
    [
        ([], "Say what to serve: --model_base_path or --model_config_file."),
        (["--model_base_path=/nowhere"], "Model default: no such directory: /nowhere"),
        (["--model_config_file=/nowhere.config"], "No such file or directory: /nowhere.config"),
        (["--model_base_path=/", "--port=0"], "nothing would listen"),
        (["--model_base_path=/", "--rest_api_port=8500"], "must differ. Received: 8500 twice"),
        (["--model_base_path=/", "--port=70000"], "--port must be in 0..65535. Received: 70000"),
        (["--model_base_path=/", "--grpc_max_threads=0"], "grpc_max_threads must be at least 1"),
        (
            ["--model_base_path=/", "--enable_profiler"],
            "only false is supported: there is no profiler service",
        ),
    ],
)
def test_refusals(flags, message):
    if not any(flag.startswith(("--port", "--rest")) for flag in flags):
        flags = [*flags, f"--port={serving.free_ports(1)[0]}"]
    assert message in last_line(run_binary("serve", *flags))


def test_help_is_quick_and_names_what_is_supported(repository):
    started = time.monotonic()
    result = run_binary("serve", "--help")
    assert result.returncode == 0
    assert time.monotonic() - started < 5
    assert "--model_config_file" in result.stdout
    assert os.access(repository / "bin" / "serve.py", os.X_OK)
