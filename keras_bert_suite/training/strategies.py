"""On which devices a run trains: tf.distribute strategies by name."""

from __future__ import annotations

import json
import os

import tensorflow as tf

STRATEGIES = ("one_device", "mirrored", "multi_worker", "tpu")


def make_strategy(name: str = "one_device", *, num_replicas: int | None = None):
    """Gives a tf.distribute strategy. Call it before anything else touches TensorFlow's devices.

    Args:
      name: "one_device": the first GPU, or the CPU. "mirrored": several devices of this machine,
        the GPUs or, without any, logical CPU devices. "multi_worker": one process a worker, as the
        environment variable TF_CONFIG says. "tpu": the TPU that the environment offers.
      num_replicas: for "mirrored" alone: how many devices; all GPUs by default, 2 on a CPU.

    Raises:
      ValueError: an unknown name, num_replicas where it has no meaning, more replicas than GPUs,
        TF_CONFIG missing or malformed, no TPU, or devices that are already in use.
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
        "multi_worker": _multi_worker,
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


def _multi_worker():
    text = os.environ.get("TF_CONFIG")
    if not text:
        raise ValueError(
            "--strategy=multi_worker needs the environment variable TF_CONFIG on every worker, for "
            'example {"cluster": {"worker": ["host0:2222", "host1:2222"]}, '
            '"task": {"type": "worker", "index": 0}}. Received: none.'
        )
    try:
        config = json.loads(text)
        workers, task = config["cluster"]["worker"], config["task"]
        valid = 0 <= int(task["index"]) < len(workers) and task["type"] == "worker"
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
    return tf.distribute.MultiWorkerMirroredStrategy()


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
