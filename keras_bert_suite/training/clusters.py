"""Where the workers of a multi-worker run are: TF_CONFIG, SLURM or Kubernetes.

Each source gives one and the same thing, a list of addresses and this process's place in it.
TensorFlow's own resolvers read SLURM and Kubernetes; what they leave open stands here:

- SlurmClusterResolver sorts the nodes by name and takes SLURM_PROCID as the place among them, which
  is another node's wherever SLURM numbers its tasks otherwise (n2 before n10, cyclic
  distribution), and divides by zero without GPUs. Here a process finds itself by the name of its
  node and its number there.
- KubernetesClusterResolver asks for a kubeconfig even inside a pod, needs the right to list the
  pods of all namespaces, and knows neither how many there must be nor which is its own.
"""

from __future__ import annotations

import json
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tensorflow as tf

from keras_bert_suite.training.cluster_settings import ClusterSettings

_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


@dataclass(frozen=True)
class Cluster:
    """The workers of a run.

    Attributes:
      addresses: host:port of each worker, in the order of their numbers.
      index: the number of this process.
      source: who said so, for people.
      processes_here: workers that share this machine, and its GPUs with it; 1 where every process
        sees only GPUs of its own.
      place_here: the number of this process among them.
    """

    addresses: tuple[str, ...]
    index: int
    source: str
    processes_here: int = 1
    place_here: int = 0

    def name(self, index: int) -> str:
        """What messages call a worker."""
        return f"worker {index} ({self.addresses[index]})"


def resolve_cluster(settings: ClusterSettings) -> Cluster:
    """Gives the cluster that --cluster_resolver, or else the environment, tells of.

    Raises:
      ValueError: nothing tells of a cluster, or what does is incomplete or contradicts itself.
    """
    settings.check_cluster()
    cluster = _RESOLVERS[settings.cluster_resolver or _detected(settings)](settings)
    if settings.num_workers not in (None, len(cluster.addresses)):
        raise ValueError(
            f"--num_workers must be how many workers {cluster.source} tells of. Received: "
            f"{settings.num_workers}, {cluster.source}: {', '.join(cluster.addresses)}."
        )
    return cluster


def _detected(settings: ClusterSettings) -> str:
    if os.environ.get("TF_CONFIG"):
        return "tf_config"
    if int(os.environ.get("SLURM_STEP_NUM_TASKS") or 1) > 1:
        return "slurm"
    if settings.kubernetes_selector and os.environ.get("KUBERNETES_SERVICE_HOST"):
        return "kubernetes"
    raise ValueError(
        "--strategy=multi_worker needs to know the workers. Either the environment variable "
        "TF_CONFIG on every worker, for example "
        '{"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
        '"task": {"type": "worker", "index": 0}}; or a start by SLURM\'s srun with several tasks; '
        "or pods of Kubernetes and --kubernetes_selector. Received: none of them."
    )


def _from_tf_config(settings: ClusterSettings) -> Cluster:
    del settings  # TF_CONFIG says everything
    text = os.environ.get("TF_CONFIG", "")
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        index = int(task["index"])
        valid = 0 <= index < len(workers) and task["type"] == "worker"
        if not all(isinstance(worker, str) and ":" in worker for worker in workers):
            raise ValueError("a worker is no host:port")
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(
            "TF_CONFIG must be JSON with cluster.worker (a list of host:port), task.type and "
            f"task.index. Received: {text!r}."
        ) from error
    if not valid:
        raise ValueError(
            'TF_CONFIG: task.type must be "worker" and task.index one of the '
            f"{len(workers)} workers. Received: task={task!r}."
        )
    return Cluster(tuple(workers), index, "TF_CONFIG")


def _from_slurm(settings: ClusterSettings) -> Cluster:
    try:
        rank = int(os.environ["SLURM_PROCID"])
        resolver = tf.distribute.cluster_resolver.SlurmClusterResolver(
            port_base=settings.worker_port,
            # Only addresses are wanted. One pretended GPU a task: with none it divides by zero.
            gpus_per_node=int(os.environ["SLURM_STEP_NUM_TASKS"]),
            gpus_per_task=1,
            auto_set_gpu=False,
        )
        addresses = tuple(resolver.cluster_spec().as_dict()["worker"])
    except (KeyError, ValueError, RuntimeError) as error:
        variables = {k: v for k, v in sorted(os.environ.items()) if k.startswith("SLURM_STEP_")}
        raise ValueError(
            "--cluster_resolver=slurm needs the variables that srun sets for every task: "
            "SLURM_PROCID, SLURM_STEP_NUM_TASKS, SLURM_STEP_NODELIST and "
            "SLURM_STEP_TASKS_PER_NODE. Remedy: start the command by srun inside the job. "
            f"Received: {variables} ({error})."
        ) from error
    host, place = os.environ.get("SLURMD_NODENAME"), int(os.environ.get("SLURM_LOCALID") or 0)
    own = f"{host}:{settings.worker_port + place}"
    if host is None:  # not told by srun, but by a launcher that imitates it
        index = rank
    elif own in addresses:
        index = addresses.index(own)
    else:
        raise ValueError(
            "SLURM: this task (SLURMD_NODENAME, SLURM_LOCALID) must be one of SLURM_STEP_NODELIST "
            f"and SLURM_STEP_TASKS_PER_NODE. Received: {own}, tasks: {', '.join(addresses)}."
        )
    shared = [a for a in addresses if a.rsplit(":", 1)[0] == addresses[index].rsplit(":", 1)[0]]
    # With --gpus-per-task each task sees its own GPUs alone.
    if os.environ.get("SLURM_GPUS_PER_TASK"):
        return Cluster(addresses, index, "SLURM")
    return Cluster(addresses, index, "SLURM", len(shared), shared.index(addresses[index]))


def _from_kubernetes(settings: ClusterSettings) -> Cluster:
    if not settings.kubernetes_selector or settings.num_workers is None:
        raise ValueError(
            "--cluster_resolver=kubernetes needs --kubernetes_selector, the label of the workers' "
            f"pods, and --num_workers. Received: {settings.kubernetes_selector!r}, "
            f"{settings.num_workers}."
        )
    resolver = tf.distribute.cluster_resolver.KubernetesClusterResolver(
        {"worker": [settings.kubernetes_selector]},
        tf_server_port=settings.worker_port,
        override_client=_PodsOfNamespace(_kubernetes_client(), _namespace()),
    )
    addresses = _running_pods(resolver, settings)
    return Cluster(addresses, _own_place(addresses), "Kubernetes")


def _running_pods(
    resolver, settings: ClusterSettings, *, sleep: Callable[[float], None] = time.sleep
) -> tuple[str, ...]:
    """Waits until `num_workers` pods run; gives their addresses."""
    end = time.monotonic() + settings.worker_timeout
    while True:
        try:
            addresses = tuple(resolver.cluster_spec().as_dict().get("worker", ()))
            seen = f"{len(addresses)} running pods"
            if len(addresses) == settings.num_workers:
                return addresses
        except RuntimeError as error:  # a pod in another phase
            seen = str(error)
        except Exception as error:  # the client's own, which must not be imported to be named
            raise ValueError(
                f"Kubernetes did not list the pods of {settings.kubernetes_selector!r}. Remedy: "
                f"allow the service account to list pods in its namespace. It said: {error}"
            ) from error
        if time.monotonic() > end:
            raise ValueError(
                f"--kubernetes_selector={settings.kubernetes_selector} must match "
                f"{settings.num_workers} running pods (--num_workers). Received after "
                f"{settings.worker_timeout} s (--worker_timeout): {seen}."
            )
        sleep(2.0)


class _PodsOfNamespace:
    """The one call that TensorFlow's resolver makes, kept to this pod's namespace."""

    def __init__(self, client, namespace: str):
        self._client, self._namespace = client, namespace

    def list_pod_for_all_namespaces(self, *, label_selector: str):
        return self._client.list_namespaced_pod(self._namespace, label_selector=label_selector)


def _kubernetes_client() -> Any:
    try:
        from kubernetes import client, config
    except ImportError as error:
        raise ValueError(
            "--cluster_resolver=kubernetes needs the package kubernetes. Remedy: pip install "
            "'keras-bert-suite[kubernetes]'."
        ) from error
    try:
        config.load_incluster_config()
    except config.ConfigException as error:
        raise ValueError(
            "--cluster_resolver=kubernetes works inside a pod with a service account. "
            f"Received: {error}"
        ) from error
    return client.CoreV1Api()


def _namespace() -> str:
    return _NAMESPACE.read_text(encoding="utf-8").strip() if _NAMESPACE.exists() else "default"


def _own_place(addresses: tuple[str, ...]) -> int:
    """This process's place: HOST_IP says it, else the one address that is this machine's."""
    hosts = [address.rsplit(":", 1)[0] for address in addresses]
    told = os.environ.get("HOST_IP")
    own = [i for i, host in enumerate(hosts) if (host == told if told else _is_local(host))]
    if len(own) != 1:
        raise ValueError(
            "Exactly one of the pods' addresses must be this one's: the pods need hostNetwork: "
            "true and a node each (TensorFlow's resolver knows pods by their node's address). "
            "Remedy: spread them by anti-affinity, or set the variable HOST_IP from the field "
            f"status.hostIP. Received: {', '.join(addresses)}; HOST_IP={told!r}."
        )
    return own[0]


def _is_local(host: str) -> bool:
    """Whether `host` is an address of this machine: only then can a socket be bound to it."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        try:
            probe.bind((host, 0))
        except OSError:
            return False
    return True


_RESOLVERS: Mapping[str, Callable[[ClusterSettings], Cluster]] = {
    "tf_config": _from_tf_config,
    "slurm": _from_slurm,
    "kubernetes": _from_kubernetes,
}
