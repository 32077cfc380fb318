"""How the workers of --strategy=multi_worker find each other. Imports no TensorFlow."""

from __future__ import annotations

import dataclasses

from keras_bert_suite.settings import setting

RESOLVERS = ("tf_config", "slurm", "kubernetes")


@dataclasses.dataclass(frozen=True, kw_only=True)
class ClusterSettings:
    """Settings that several programs share: where their workers are. None changes the weights."""

    cluster_resolver: str | None = setting(
        None,
        help="For --strategy=multi_worker, who knows the workers: tf_config (the variable "
        "TF_CONFIG), slurm (the variables of srun) or kubernetes (the pods of "
        "--kubernetes_selector). By default the first of them whose variables are set.",
        free=True,
    )
    worker_port: int = setting(
        8888,
        help="Port of a machine's first worker under slurm (the next one's is one higher) and of "
        "every pod under kubernetes. TF_CONFIG names ports of its own.",
        free=True,
    )
    kubernetes_selector: str | None = setting(
        None, help="Label selector of the workers' pods, such as job-name=bert.", free=True
    )
    num_workers: int | None = setting(
        None,
        help="How many workers there must be: required with kubernetes, a check elsewhere.",
        free=True,
    )
    worker_timeout: int = setting(
        600, help="Seconds to wait at the start for workers that are not up yet.", free=True
    )

    def check_cluster(self) -> None:
        """Raises ValueError for a value out of range."""
        if self.cluster_resolver is not None and self.cluster_resolver not in RESOLVERS:
            raise ValueError(
                f"cluster_resolver must be one of {', '.join(RESOLVERS)}. "
                f"Received: {self.cluster_resolver!r}."
            )
        if not 0 < self.worker_port < 65536:
            raise ValueError(
                f"worker_port must be between 1 and 65535. Received: {self.worker_port}."
            )
        for name in ("num_workers", "worker_timeout"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise ValueError(f"{name} must be at least 1. Received: {value}.")
