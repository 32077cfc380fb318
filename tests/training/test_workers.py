"""Waiting for workers and missing them, with plain sockets in their place."""

import socket
import threading
import time

import pytest
import tensorflow as tf

from keras_bert_suite.training import workers
from keras_bert_suite.training.clusters import Cluster


def listener():
    server = socket.create_server(("localhost", 0))
    return server, f"localhost:{server.getsockname()[1]}"


def free_address():
    server, address = listener()
    server.close()
    return address


def test_two_workers_that_come_up_at_different_times_see_each_other():
    addresses = (free_address(), free_address())
    servers = []

    def second():
        time.sleep(0.5)
        workers.wait_for_workers(Cluster(addresses, 1, ""), timeout=10)
        servers.append(socket.create_server(("localhost", int(addresses[1].split(":")[1]))))

    thread = threading.Thread(target=second)
    thread.start()
    said = []
    workers.wait_for_workers(Cluster(addresses, 0, ""), timeout=10, say=said.append, say_after=0.2)
    # What follows in a real worker: TensorFlow's server on the same port.
    with socket.create_server(("localhost", int(addresses[0].split(":")[1]))):
        thread.join()
    servers[0].close()
    assert said == [f"worker 0 ({addresses[0]}) waits for worker 1 ({addresses[1]}), up to 10 s"]


def test_a_worker_that_never_comes_up():
    cluster = Cluster((free_address(), free_address(), free_address()), 1, "")
    with pytest.raises(ValueError, match=r"All 3 workers .* within 1 s \(--worker_timeout\)") as e:
        workers.wait_for_workers(cluster, timeout=1)
    assert f"no answer from {cluster.name(0)}, {cluster.name(2)}. Remedy" in str(e.value)


def test_a_port_that_is_taken(monkeypatch):
    monkeypatch.setattr(workers, "_PORT_SECONDS", 0.1)
    server, address = listener()
    with server, pytest.raises(ValueError, match=r"port of worker 0 .* must be free"):
        workers.wait_for_workers(Cluster((address, "localhost:1"), 0, ""), timeout=5)


def test_the_watch_ends_a_process_whose_main_thread_notices_nothing():
    server, address = listener()
    cluster = Cluster((free_address(), address), 0, "")
    ended = []
    with workers.WorkerWatch(cluster, every=0.05, grace=0.1, end=ended.append):
        time.sleep(0.5)
        assert ended == []  # the other answers
        server.close()
        for _ in range(100):
            if ended:
                break
            time.sleep(0.05)
    assert ended == [
        f"worker 1 ({address}) is gone, so that worker 0 stops too. Remedy: start all workers "
        "again with the same command; they go on from the newest state."
    ]


def test_the_watch_leaves_a_process_alone_that_ends_by_itself():
    ended = []
    cluster = Cluster((free_address(), free_address()), 0, "")
    with workers.WorkerWatch(cluster, every=0.02, grace=0.3, end=ended.append):
        time.sleep(0.2)  # seen, and in its time of grace
    time.sleep(0.4)
    assert ended == []


@pytest.fixture
def three_workers(monkeypatch):
    """As if every strategy had worker 0, us, and workers 1 (it listens) and 2 (it does not)."""
    server, address = listener()
    cluster = Cluster((free_address(), address, free_address()), 0, "")
    monkeypatch.setattr(workers, "cluster_of", lambda strategy: cluster)
    with server:
        yield cluster


UNHEALTHY = (
    "Error reported from /job:worker/task:2: The following tasks are unhealthy (stopped sending "
    "heartbeats):\n/job:worker/replica:0/task:1\nThe tasks have crashed."
)


@pytest.mark.parametrize(
    ("error", "gone"),
    [
        # The heartbeat knows better than the port, which a frozen process keeps open.
        (tf.errors.UnavailableError(None, None, UNHEALTHY), 1),
        (tf.errors.CancelledError(None, None, "from remote target /job:worker/task:1"), 2),
        (tf.errors.DeadlineExceededError(None, None, "CoordinationService/Heartbeat"), 2),
    ],
)
def test_errors_name_the_worker_that_is_gone(three_workers, error, gone):
    with pytest.raises(OSError, match="stops too. Remedy: start all") as raised:
        with workers.worker_errors(None):
            raise error
    assert str(raised.value).startswith(f"{three_workers.name(gone)} is gone")


def test_errors_of_other_strategies_pass(one_device):
    with pytest.raises(tf.errors.UnavailableError), workers.worker_errors(one_device):
        raise tf.errors.UnavailableError(None, None, "x")
    assert workers.cluster_of(one_device) is None
