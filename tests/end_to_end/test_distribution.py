"""One device = 2 replicas = 2 workers = micro-batches, with unequal numbers of masked tokens.

All runs on one machine share a process (the replicas' collectives stay out of pytest's), each of
the two workers has its own; the tests then compare the final variables.
"""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from keras_bert_suite.training.pretraining_parts import HEADS

SCRIPT = Path(__file__).with_name("train_toy.py")
# Every gradient is longer than 0.5, so that the clipping takes part. One layer traces faster.
TOY = {"clip_norm": 0.5, "num_layers": 1}
OPTIONS = {
    **TOY,
    "objectives": [*HEADS],
    "optimizer": "lamb",
    "ema": 0.9,
    "guard_updates": True,
    "rematerialize": True,
}


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


def run_all(directory, *, single, workers):
    """Runs `single` in one process and `workers` in two; gives {name of a run: its arrays}."""
    directory.mkdir(exist_ok=True)
    for runs in (single, workers):
        for name, options in runs.items():
            options["output"] = str(directory / f"{name}.npz")
            options.setdefault("model", TOY)
    cluster = {"worker": [f"localhost:{port}" for port in free_ports(2)]}
    processes = [start([*single.values()])]
    for index in range(2):
        config = {"cluster": cluster, "task": {"type": "worker", "index": index}}
        processes.append(start([*workers.values()], environment={"TF_CONFIG": json.dumps(config)}))
    for process in processes:
        output, _ = process.communicate(timeout=400)
        assert process.returncode == 0, output
    return {path.stem: dict(np.load(path)) for path in directory.glob("*.npz")}


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    return tmp_path_factory.mktemp("distribution")


@pytest.fixture(scope="module")
def results(directory):
    return run_all(
        directory,
        single={
            "mirrored": {"strategy": "mirrored"},  # first: it splits the CPU
            "one_device": {"strategy": "one_device"},
            "accumulated": {"strategy": "one_device", "model": {**TOY, "micro_batches": 4}},
            "dropout": {
                "strategy": "mirrored",
                "loop": "dropout",
                "model": {"dropout": 0.5, "num_layers": 1},
            },
        },
        workers={
            "workers": {
                "strategy": "multi_worker",
                "trainer": {"checkpoint_every": 2, "log_every": 2},
            },
        },
    )


@pytest.fixture(scope="module")
def more_results(directory):
    float16 = {"precision": "float16", "num_layers": 1, "guard_updates": True}
    xla = {**TOY, "jit_compile": True, "guard_updates": True}
    return run_all(
        directory / "more",
        single={
            "mirrored_fit": {"strategy": "mirrored", "loop": "fit"},
            "mirrored_xla": {"strategy": "mirrored", "model": xla},
            "mirrored_float16": {"strategy": "mirrored", "model": float16},
            "one_device_float16": {"strategy": "one_device", "model": float16},
        },
        workers={"workers_fit": {"strategy": "multi_worker", "loop": "fit"}},
    )


@pytest.fixture(scope="module")
def results_of_options(directory):
    """10 steps with everything switched on, on unequal numbers of predictions."""
    run = {"steps": 10, "model": OPTIONS}
    return run_all(
        directory / "options",
        single={
            "mirrored": {"strategy": "mirrored", **run},
            "one_device": {"strategy": "one_device", **run},
            "accumulated": {
                "strategy": "one_device",
                **run,
                "model": {**OPTIONS, "micro_batches": 4},
            },
        },
        workers={"workers": {"strategy": "multi_worker", **run}},
    )


def assert_equal_weights(one, other, *, tolerance=1e-5, at_least=20):
    assert one.keys() == other.keys() and len(one) > at_least
    for name, value in one.items():
        np.testing.assert_allclose(value, other[name], atol=tolerance, rtol=0, err_msg=name)


@pytest.mark.parametrize("name", ["mirrored", "accumulated", "workers"])
def test_weights_after_5_steps_equal_one_device(results, name):
    assert_equal_weights(results[name], results["one_device"])


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mirrored", "accumulated", "workers"])
def test_all_objectives_and_options_equal_one_device_after_10_steps(results_of_options, name):
    one_device = results_of_options["one_device"]
    assert_equal_weights(results_of_options[name], one_device, at_least=50)


def test_dropout_masks_differ_between_replicas(results):
    one, other = results["dropout"]["replica_0"], results["dropout"]["replica_1"]
    assert np.abs(one - other).max() > 0.1


def test_only_the_chief_writes_states(results, directory):
    states = directory / "workers.npz.run" / "checkpoints"
    names = sorted(path.name for path in states.iterdir())
    assert names == ["step-00000002", "step-00000004", "step-00000005"]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["mirrored_fit", "mirrored_xla", "workers_fit"])
def test_fit_and_xla_equal_one_device(results, more_results, name):
    assert_equal_weights(more_results[name], results["one_device"])


@pytest.mark.slow
def test_float16_loss_scaling_is_the_same_over_replicas(more_results):
    # float16 rounds each replica's sums on its own: 11 bits of mantissa, rates of 1e-2.
    assert_equal_weights(
        more_results["mirrored_float16"], more_results["one_device_float16"], tolerance=5e-3
    )
