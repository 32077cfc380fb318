"""Who the workers are, by TF_CONFIG, SLURM's variables and a stub of the Kubernetes client."""

import json
from types import SimpleNamespace

import pytest

from keras_bert_suite.training import clusters
from keras_bert_suite.training.cluster_settings import ClusterSettings
from keras_bert_suite.training.clusters import Cluster, resolve_cluster

SLURM = {
    "SLURM_PROCID": "1",
    "SLURM_STEP_NUM_TASKS": "3",
    "SLURM_STEP_NODELIST": "n[2,10]",
    "SLURM_STEP_TASKS_PER_NODE": "1,2",
    "SLURMD_NODENAME": "n10",
    "SLURM_LOCALID": "0",
}
NAMES = [*SLURM, "SLURM_GPUS_PER_TASK", "TF_CONFIG", "KUBERNETES_SERVICE_HOST", "HOST_IP"]


@pytest.fixture(autouse=True)
def environment(monkeypatch):
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)
    return lambda values: [monkeypatch.setenv(name, value) for name, value in values.items()]


def test_tf_config(environment):
    config = {"cluster": {"worker": ["a:1", "b:2"]}, "task": {"type": "worker", "index": 1}}
    environment({"TF_CONFIG": json.dumps(config), **SLURM})  # detected first
    assert resolve_cluster(ClusterSettings()) == Cluster(("a:1", "b:2"), 1, "TF_CONFIG")


def test_nothing_tells_of_a_cluster():
    with pytest.raises(ValueError, match="srun with several tasks; or pods .* Received: none"):
        resolve_cluster(ClusterSettings())


def test_num_workers_is_checked(environment):
    environment(SLURM)
    with pytest.raises(ValueError, match=r"Received: 2, SLURM: n10:8888, n10:8889, n2:8888"):
        resolve_cluster(ClusterSettings(num_workers=2))


@pytest.mark.parametrize(
    ("node", "local", "rank", "index"), [("n2", 0, 0, 2), ("n10", 0, 1, 0), ("n10", 1, 2, 1)]
)
def test_slurm_finds_a_task_by_its_node_where_the_names_sort_otherwise(
    environment, node, local, rank, index
):
    environment(SLURM)
    environment({"SLURMD_NODENAME": node, "SLURM_LOCALID": str(local), "SLURM_PROCID": str(rank)})
    cluster = resolve_cluster(ClusterSettings(worker_port=9000))
    assert cluster.addresses == ("n10:9000", "n10:9001", "n2:9000")
    assert cluster.index == index and cluster.source == "SLURM"
    shared = (1, 0) if node == "n2" else (2, local)
    assert (cluster.processes_here, cluster.place_here) == shared


def test_slurm_tasks_with_gpus_of_their_own_share_none(environment):
    environment({**SLURM, "SLURM_GPUS_PER_TASK": "1", "SLURM_LOCALID": "1"})
    cluster = resolve_cluster(ClusterSettings())
    assert (cluster.index, cluster.processes_here, cluster.place_here) == (1, 1, 0)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"SLURMD_NODENAME": "n7"}, "must be one of SLURM_STEP_NODELIST.*Received: n7:8888"),
        ({"SLURM_STEP_NODELIST": "n[2"}, "needs the variables that srun sets.*Invalid hostlist"),
        ({"SLURM_PROCID": "first"}, "needs the variables that srun sets"),
    ],
)
def test_slurm_refuses(environment, changes, message):
    environment({**SLURM, **changes})
    with pytest.raises(ValueError, match=message):
        resolve_cluster(ClusterSettings(cluster_resolver="slurm"))


def test_slurm_outside_a_job_step():
    with pytest.raises(ValueError, match="Remedy: start the command by srun inside the job"):
        resolve_cluster(ClusterSettings(cluster_resolver="slurm"))


class PodClient:
    """Lists pods as kubernetes.client.CoreV1Api does; the first answers miss some."""

    def __init__(self, *answers):
        self.answers, self.asked = list(answers), []

    def list_namespaced_pod(self, namespace, *, label_selector):
        self.asked.append((namespace, label_selector))
        pods = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        return SimpleNamespace(
            items=[
                SimpleNamespace(
                    metadata=SimpleNamespace(name=name),
                    status=SimpleNamespace(phase=phase, host_ip=address),
                )
                for name, phase, address in pods
            ]
        )


def kubernetes(monkeypatch, *answers, timeout=600, **changes):
    client = PodClient(*answers)
    monkeypatch.setattr(clusters, "_kubernetes_client", lambda: client)
    monkeypatch.setattr(clusters.time, "sleep", lambda seconds: None)
    values = {"kubernetes_selector": "job-name=bert", "num_workers": 2, "worker_port": 9000}
    settings = ClusterSettings(
        cluster_resolver="kubernetes", worker_timeout=timeout, **{**values, **changes}
    )
    return client, lambda: resolve_cluster(settings)


PODS = [("bert-1", "Running", "10.0.0.7"), ("bert-0", "Running", "127.0.0.1")]


def test_kubernetes_waits_for_all_pods_and_finds_itself(monkeypatch):
    pending = [PODS[0], ("bert-0", "Pending", None)]
    client, resolve = kubernetes(monkeypatch, PODS[:1], pending, PODS)
    assert resolve() == Cluster(("127.0.0.1:9000", "10.0.0.7:9000"), 0, "Kubernetes")
    assert client.asked == [("default", "job-name=bert")] * 3


def test_kubernetes_is_told_its_host_where_the_machine_has_both_addresses(monkeypatch):
    pods = [("bert-0", "Running", "127.0.0.1"), ("bert-1", "Running", "127.0.0.2")]
    _, resolve = kubernetes(monkeypatch, pods)
    with pytest.raises(ValueError, match="hostNetwork: true and a node each.*HOST_IP=None"):
        resolve()
    monkeypatch.setenv("HOST_IP", "127.0.0.2")
    assert resolve().index == 1


def test_kubernetes_gives_up_after_a_time(monkeypatch):
    _, resolve = kubernetes(monkeypatch, [("bert-0", "Pending", None)], timeout=1)
    now = iter(range(100))
    monkeypatch.setattr(clusters.time, "monotonic", lambda: next(now))
    with pytest.raises(ValueError, match='must match 2 running pods.*after 1 s.*"Pending"'):
        resolve()


def test_kubernetes_says_what_it_needs(monkeypatch):
    _, resolve = kubernetes(monkeypatch, PODS, num_workers=None)
    with pytest.raises(ValueError, match="needs --kubernetes_selector.*and --num_workers"):
        resolve()


def test_kubernetes_outside_a_pod_or_without_its_package():
    settings = ClusterSettings(
        cluster_resolver="kubernetes", kubernetes_selector="job-name=bert", num_workers=2
    )
    with pytest.raises(ValueError, match="works inside a pod|needs the package kubernetes"):
        resolve_cluster(settings)


def test_kubernetes_refuses_to_list(monkeypatch):
    client, resolve = kubernetes(monkeypatch, PODS)
    monkeypatch.setattr(client, "list_namespaced_pod", lambda *a, **k: 1 / 0)
    with pytest.raises(ValueError, match="allow the service account to list pods"):
        resolve()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cluster_resolver": "yarn"}, "must be one of tf_config, slurm, kubernetes"),
        ({"worker_port": 0}, "worker_port must be between 1 and 65535"),
        ({"num_workers": 0}, "num_workers must be at least 1"),
        ({"worker_timeout": 0}, "worker_timeout must be at least 1"),
    ],
)
def test_settings_refuse(changes, message):
    with pytest.raises(ValueError, match=message):
        ClusterSettings(**changes).check_cluster()
