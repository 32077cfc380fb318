"""bin/pretrain.py on two workers that SLURM's variables tell of: one killed, one told to stop."""

import os
import signal
import socket
import subprocess
import sys
import time

import pytest
import tiny_corpus

STEPS = 200


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    directory = tmp_path_factory.mktemp("corpus")
    tiny_corpus.make_corpus(directory)
    return directory


def two_free_ports():
    """The first of two neighbouring ports that are free."""
    while True:
        with socket.create_server(("localhost", 0)) as first:
            port = first.getsockname()[1]
            try:
                socket.create_server(("localhost", port + 1)).close()
            except OSError:
                continue
            return port


def start(corpus, output, *, tasks=(0, 1), **changes):
    settings = tiny_corpus.settings_of(
        corpus,
        **{
            "output_dir": str(output),
            "num_steps": STEPS,
            "strategy": "multi_worker",
            "worker_port": two_free_ports(),
            "checkpoint_every": 10,
            **changes,
        },
    )
    slurm = {
        "SLURM_STEP_NUM_TASKS": "2",
        "SLURM_STEP_NODELIST": "localhost",
        "SLURM_STEP_TASKS_PER_NODE": "2",
        "SLURMD_NODENAME": "localhost",
    }
    return [
        subprocess.Popen(
            [
                *(sys.executable, "-m", "keras_bert_suite.bin.pretrain"),
                *tiny_corpus.flags_of(settings),
            ],
            cwd="/",
            env={**os.environ, **slurm, "SLURM_PROCID": str(i), "SLURM_LOCALID": str(i)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        for i in tasks
    ]


def wait_for_state(processes, output):
    while not list((output / "checkpoints").glob("step-*")):
        assert [p.poll() for p in processes] == [None, None], processes[0].communicate()[0]
        time.sleep(0.02)


def finish(processes, status=0):
    texts = [process.communicate(timeout=300)[0] for process in processes]
    assert [process.returncode for process in processes] == [status] * len(processes), texts
    return texts


def trained(output):
    state = output / "checkpoints" / f"step-{STEPS:08d}" / "training.data-00000-of-00001"
    return (output / "model.safetensors").read_bytes(), state.read_bytes()


@pytest.fixture(scope="module")
def uninterrupted(corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("whole")
    finish(start(corpus, output))
    return output


@pytest.mark.slow
@pytest.mark.parametrize("victim", [0, 1])
def test_a_killed_worker_stops_the_other_and_all_go_on(corpus, uninterrupted, tmp_path, victim):
    processes = start(corpus, tmp_path)
    wait_for_state(processes, tmp_path)
    processes[victim].kill()
    killed = time.monotonic()
    other = processes[1 - victim]
    text, _ = other.communicate(timeout=60)
    seconds = time.monotonic() - killed
    processes[victim].communicate()
    assert seconds < 30 and other.returncode == 1, text
    assert f"error: worker {victim} (localhost:" in text.splitlines()[-1]
    assert "Remedy: start all workers again with the same command" in text.splitlines()[-1]
    assert "Traceback" not in text
    print(f"worker {1 - victim} ended {seconds:.1f} s after the kill of worker {victim}")
    texts = finish(start(corpus, tmp_path))
    assert "resumed from" in texts[0]
    assert trained(tmp_path) == trained(uninterrupted)


@pytest.mark.slow
def test_sigterm_to_one_worker_lets_both_save_and_stop(corpus, uninterrupted, tmp_path):
    processes = start(corpus, tmp_path, checkpoint_every=50)
    wait_for_state(processes, tmp_path)
    processes[1].send_signal(signal.SIGTERM)
    finish(processes, status=128 + signal.SIGTERM)
    finish(start(corpus, tmp_path, checkpoint_every=50))
    assert trained(tmp_path) == trained(uninterrupted)


def test_a_worker_whose_neighbour_never_comes_up(corpus, tmp_path):
    (text,) = finish(start(corpus, tmp_path, tasks=[0], worker_timeout=2), status=1)
    assert (
        "within 2 s (--worker_timeout). Received no answer from worker 1" in text.splitlines()[-1]
    )
    assert "Traceback" not in text
