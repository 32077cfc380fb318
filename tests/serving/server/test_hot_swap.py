"""Versions that come and go under load, and the end of a server that nobody announced."""

from __future__ import annotations

import json
import shutil
import time
import urllib.request

import grpc
import pytest
from serving_load import MODEL, Load
from tensorflow_serving.apis import (
    get_model_status_pb2,
    model_service_pb2_grpc,
)

CONSTANTS = {1: 2.0, 2: 3.0, 3: 5.0}
CLIENTS = 16


@pytest.fixture(scope="module")
def versions(contract_models, tmp_path_factory):
    """Directories of half_plus_two, each with a constant of its own."""
    root = tmp_path_factory.mktemp("versions")
    for version, constant in CONSTANTS.items():
        contract_models.write_half_plus_two(root / str(version), constant=constant)
    return root


@pytest.fixture
def base(versions, tmp_path):
    base = tmp_path / "base"
    shutil.copytree(versions / "1", base / "1")
    return base


def publish(source, base, number):
    """As bin/export_model.py does: by rename."""
    shutil.copytree(source, base / ".new")
    (base / ".new").rename(base / str(number))


def states(server):
    """version -> (state, error code), by gRPC."""
    with grpc.insecure_channel(server.grpc) as channel:
        request = get_model_status_pb2.GetModelStatusRequest()
        request.model_spec.name = MODEL
        stub = model_service_pb2_grpc.ModelServiceStub(channel)
        response = stub.GetModelStatus(request, timeout=20)
    name = get_model_status_pb2.ModelVersionStatus.State.Name
    return {
        each.version: (name(each.state), each.status.error_code)
        for each in response.model_version_status
    }


def states_by_rest(server):
    answer = json.load(urllib.request.urlopen(f"http://{server.rest}/v1/models/{MODEL}"))
    return {
        int(each["version"]): (each["state"], each["status"]["error_code"])
        for each in answer["model_version_status"]
    }


def wait_for(server, version, state):
    deadline = time.monotonic() + 60
    while states(server).get(version, ("",))[0] != state:
        assert time.monotonic() < deadline, states(server)
        time.sleep(0.05)


@pytest.mark.parametrize("seconds", [3, pytest.param(60, marks=pytest.mark.slow)])
def test_nothing_fails_and_nothing_is_wrong_over_a_swap(start_server, versions, base, seconds):
    server = start_server(
        f"--model_name={MODEL}",
        f"--model_base_path={base}",
        "--enable_batching",
        "--file_system_poll_wait_seconds=0.1",
        "--rest_api_num_threads=16",
    )
    with Load(server, clients=CLIENTS, constants=CONSTANTS) as load:
        time.sleep(seconds / 4)
        broken = base / ".broken"
        broken.mkdir()
        (broken / "saved_model.pb").write_bytes(b"no model")
        broken.rename(base / "2")
        wait_for(server, 2, "END")
        assert states(server)[1] == ("AVAILABLE", 0)
        assert states(server)[2][1] != 0  # says that it is broken
        by_rest = states_by_rest(server)
        assert by_rest[1] == ("AVAILABLE", "OK")
        assert by_rest[2][0] == "END" and by_rest[2][1] != "OK"
        time.sleep(seconds / 4)
        assert load.answered[2] == 0
        publish(versions / "3", base, 3)
        wait_for(server, 3, "AVAILABLE")
        wait_for(server, 1, "END")
        time.sleep(seconds / 2)
    assert load.failed == []
    assert load.wrong == []
    assert load.answered[1] and load.answered[3] and load.answered[None]
    assert states(server)[3] == ("AVAILABLE", 0)
    assert server.stop() == 0


@pytest.mark.slow
def test_a_killed_server_loses_nothing_but_the_requests_in_flight(start_server, base):
    flags = (f"--model_name={MODEL}", f"--model_base_path={base}")
    files = {path: path.read_bytes() for path in base.rglob("*") if path.is_file()}
    server = start_server(*flags)
    with Load(server, clients=4, constants=CONSTANTS) as load:
        while not (load.answered[1] and load.answered[None]):
            time.sleep(0.05)
        server.process.kill()
        server.process.wait()
        before = dict(load.answered)
        failed_before = len(load.failed)
        # Its successor on the same ports needs nothing of it.
        again = start_server(*flags, ports=(server.grpc, server.rest))
        deadline = time.monotonic() + 30
        while not all(load.answered[key] > before[key] for key in before):
            assert time.monotonic() < deadline, load.failed[-3:]
            time.sleep(0.05)
    assert load.wrong == []
    assert failed_before <= len(load.failed)
    # Who was cut off met a broken connection, never an answer that says otherwise.
    cut = ("RemoteDisconnected", "IncompleteRead", "Broken pipe", "reset", "closed")
    refusals = (*cut, "refused", "UNAVAILABLE")
    told = [message for _, message in load.failed]
    assert [message for message in told if not any(word in message for word in refusals)] == []
    assert {path: path.read_bytes() for path in base.rglob("*") if path.is_file()} == files
    assert again.stop() == 0
