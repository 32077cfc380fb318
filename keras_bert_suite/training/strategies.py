"""On which devices a run trains: tf.distribute strategies by name."""

from __future__ import annotations

import os

import tensorflow as tf

from keras_bert_suite.training.cluster_settings import ClusterSettings
from keras_bert_suite.training.clusters import Cluster, resolve_cluster
from keras_bert_suite.training.workers import wait_for_workers, worker_errors

STRATEGIES = ("one_device", "mirrored", "multi_worker", "tpu")


def make_strategy(
    name: str = "one_device",
    *,
    num_replicas: int | None = None,
    cluster: ClusterSettings | None = None,
):
    """Gives a tf.distribute strategy. Call it before anything else touches TensorFlow's devices.

    Args:
      name: "one_device": the first GPU, or the CPU. "mirrored": several devices of this machine,
        the GPUs or, without any, logical CPU devices. "multi_worker": one process a worker, on the
        machines that `cluster` tells of. "tpu": the TPU that the environment offers.
      num_replicas: for "mirrored" alone: how many devices; all GPUs by default, 2 on a CPU.
      cluster: for "multi_worker" alone: who knows the workers. By default the environment.

    Raises:
      ValueError: an unknown name, num_replicas where it has no meaning, more replicas than GPUs, a
        cluster that nothing tells of or whose workers do not come up, no TPU, or devices that are
        already in use.
    """
    if name not in STRATEGIES:
        raise ValueError(f"strategy must be one of {', '.join(STRATEGIES)}. Received: {name!r}.")
    if num_replicas is not None and name != "mirrored":
        raise ValueError(
            "num_replicas belongs to --strategy=mirrored alone. Received: "
            f"num_replicas={num_replicas} with strategy={name!r}."
        )
    if num_replicas is not None and num_replicas < 1:
        raise ValueError(f"num_replicas must be at least 1. Received: {num_replicas}.")
    makers = {
        "one_device": _one_device,
        "mirrored": lambda: _mirrored(num_replicas),
        "multi_worker": lambda: _multi_worker(cluster or ClusterSettings()),
        "tpu": _tpu,
    }
    return makers[name]()


def _one_device():
    return tf.distribute.OneDeviceStrategy(
        "/gpu:0" if tf.config.list_physical_devices("GPU") else "/cpu:0"
    )


def _mirrored(num_replicas: int | None):
    gpus = len(tf.config.list_physical_devices("GPU"))
    if gpus:
        count = num_replicas or gpus
        if count > gpus:
            raise ValueError(
                f"num_replicas must not exceed the GPUs of this machine. Received: {count}, "
                f"GPUs: {gpus}."
            )
        return tf.distribute.MirroredStrategy([f"/gpu:{i}" for i in range(count)])
    count = num_replicas or 2
    _split_cpu(count)
    return tf.distribute.MirroredStrategy([f"/cpu:{i}" for i in range(count)])


def _split_cpu(count: int) -> None:
    """Makes `count` logical CPU devices, which TensorFlow allows before its first op alone."""
    cpu = tf.config.list_physical_devices("CPU")[0]
    try:
        tf.config.set_logical_device_configuration(
            cpu, [tf.config.LogicalDeviceConfiguration() for _ in range(count)]
        )
    except RuntimeError as error:  # the devices exist already: enough of them will do
        if len(tf.config.list_logical_devices("CPU")) < count:
            raise ValueError(
                f"{count} CPU replicas must be asked for before TensorFlow's first operation. "
                "Received: a process whose devices are already in use. Remedy: call make_strategy "
                "first, in a fresh process."
            ) from error


def _multi_worker(settings: ClusterSettings):
    cluster = resolve_cluster(settings)
    wait_for_workers(cluster, timeout=settings.worker_timeout)
    gpus = _own_gpus(cluster)
    resolver = tf.distribute.cluster_resolver.SimpleClusterResolver(
        tf.train.ClusterSpec({"worker": list(cluster.addresses)}),
        task_type="worker",
        task_id=cluster.index,
        num_accelerators={"GPU": gpus} if gpus else {},
        rpc_layer="grpc",
    )
    return tf.distribute.MultiWorkerMirroredStrategy(cluster_resolver=resolver)


def _own_gpus(cluster: Cluster) -> int:
    """Shares the visible GPUs out among the workers on this machine; gives how many it took."""
    gpus = tf.config.list_physical_devices("GPU")
    share = len(gpus) // cluster.processes_here
    if gpus and not share:
        raise ValueError(
            "Every worker of a machine must have a GPU. Received: "
            f"{cluster.processes_here} workers, {len(gpus)} GPUs. Remedy: as many tasks a node as "
            "it has GPUs."
        )
    if share and cluster.processes_here > 1:
        first = cluster.place_here * share
        tf.config.set_visible_devices(gpus[first : first + share], "GPU")
    return share


def _tpu():
    """Follows TensorFlow's TPU guide (https://www.tensorflow.org/guide/tpu). Not run here."""
    try:
        resolver = tf.distribute.cluster_resolver.TPUClusterResolver(tpu=os.environ.get("TPU_NAME"))
        tf.config.experimental_connect_to_cluster(resolver)
        tf.tpu.experimental.initialize_tpu_system(resolver)
    except (ValueError, RuntimeError, tf.errors.OpError) as error:
        raise ValueError(
            "--strategy=tpu found no usable TPU. Remedy: run on a TPU VM with the package "
            f"tensorflow-tpu, or name the TPU in TPU_NAME. TensorFlow said: {error}"
        ) from error
    return tf.distribute.TPUStrategy(resolver)


def is_multi_worker(strategy) -> bool:
    """Whether other processes train the same model."""
    return isinstance(strategy, tf.distribute.MultiWorkerMirroredStrategy)


def is_chief(strategy) -> bool:
    """Whether this process writes what the run leaves behind: worker 0, or the only process."""
    return not is_multi_worker(strategy) or strategy.cluster_resolver.task_id == 0


class WorkerSum:
    """Sums numbers over the worker processes of a strategy.

    All workers must call it at the same points of the run. With one process it gives back what it
    gets.
    """

    def __init__(self, strategy):
        self._strategy = strategy
        self._reduce = _replica_sum(strategy) if is_multi_worker(strategy) else None

    def __call__(self, values) -> list[float]:
        """Gives the sum over workers of each of the float `values`."""
        values = [float(value) for value in values]
        if self._reduce is None:
            return values
        # Each of a worker's replicas brings its share, so that the sum counts the worker once.
        local_replicas = len(self._strategy.extended.worker_devices)
        with worker_errors(self._strategy):
            total = self._reduce(tf.constant(values, tf.float64) / local_replicas)
        return self._strategy.experimental_local_results(total)[0].numpy().tolist()


def _replica_sum(strategy):
    def replica(x):
        # identity puts the value on the replica's device; an argument has none and is refused.
        context = tf.distribute.get_replica_context()
        return context.all_reduce(tf.distribute.ReduceOp.SUM, tf.identity(x))

    return tf.function(
        lambda x: strategy.run(replica, args=(x,)),
        input_signature=[tf.TensorSpec([None], tf.float64)],
        autograph=False,
    )
