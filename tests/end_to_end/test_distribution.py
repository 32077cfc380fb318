"""One device = 2 replicas = 2 workers = accumulated micro-batches, with unequal numbers of masked tokens.

All runs of one machine share a process (the replicas' collectives stay out of pytest's), the two workers
have one each; the tests then compare the final variables.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).with_name("train_toy.py")
CLIPPED = {"clip_norm": 0.5}  # every step's gradient is longer, so the clipping takes part


def free_ports(count):
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("localhost", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


def start(runs, *, environment=None):
    return subprocess.Popen(
        [sys.executable, str(SCRIPT), json.dumps(runs)],
        env={**os.environ, **(environment or {})},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """{name of a run: its arrays}."""
    directory = tmp_path_factory.mktemp("distribution")

    def run(name, **options):
        return {"output": str(directory / f"{name}.npz"), "model": CLIPPED, **options}

    single = [
        run("mirrored", strategy="mirrored"),  # first: it splits the CPU
        run("one_device", strategy="one_device"),
        run("accumulated", strategy="one_device", model={**CLIPPED, "micro_batches": 4}),
        run("mirrored_fit", strategy="mirrored", loop="fit"),
        run("mirrored_xla", strategy="mirrored", model={**CLIPPED, "jit_compile": True}),
        run("dropout", strategy="mirrored", loop="dropout", model={"dropout": 0.5}),
        run("one_device_float16", strategy="one_device", model={"precision": "float16"}),
        run("mirrored_float16", strategy="mirrored", model={"precision": "float16"}),
    ]
    workers = [
        run("workers", strategy="multi_worker", trainer={"checkpoint_every": 2, "log_every": 2}),
        run("workers_fit", strategy="multi_worker", loop="fit"),
    ]
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    processes = [start(single)]
    for index in range(2):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        processes.append(start(workers, environment={"TF_CONFIG": json.dumps(config)}))
    for process in processes:
        output, _ = process.communicate(timeout=400)
        assert process.returncode == 0, output
    return {path.stem: dict(np.load(path)) for path in directory.glob("*.npz")} | {
        "directory": directory
    }


def assert_equal_weights(one, other, *, tolerance=1e-5):
    assert one.keys() == other.keys() and len(one) > 30
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], atol=tolerance, rtol=0, err_msg=name)


@pytest.mark.parametrize(
    "name",
    ["mirrored", "accumulated", "mirrored_fit", "mirrored_xla", "workers", "workers_fit"],
)
def test_weights_after_5_steps_equal_one_device(results, name):
    assert_equal_weights(results[name], results["one_device"])


def test_float16_loss_scaling_is_the_same_over_replicas(results):
    # float16 rounds each replica's sums on its own: 11 bits of mantissa, rates of 1e-2.
    assert_equal_weights(
        results["mirrored_float16"], results["one_device_float16"], tolerance=5e-3
    )


def test_dropout_masks_differ_between_replicas(results):
    one, other = results["dropout"]["replica_0"], results["dropout"]["replica_1"]
    assert np.abs(one - other).max() > 0.1


def test_only_the_chief_writes_states(results):
    states = results["directory"] / "workers.npz.run" / "checkpoints"
    names = sorted(path.name for path in states.iterdir())
    assert names == ["step-00000002", "step-00000004", "step-00000005"]
