"""The face that every source of training batches shows to the training loop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    import tensorflow as tf


class BatchSource(Protocol):
    """Training batches as a pure function of (seed, step).

    Attributes:
      global_batch_size: rows of one optimizer step, over all pipelines and replicas.
    """

    global_batch_size: int

    def batches(
        self,
        step: int,
        *,
        state: Mapping[str, Any] | None = None,
        pipeline: int = 0,
        num_pipelines: int = 1,
        replicas_per_pipeline: int = 1,
    ) -> tf.data.Dataset:
        """Gives the training batches from optimizer step `step` on, without end.

        Args:
          step: the first optimizer step wanted, from 0.
          state: what `state(step)` returned in the run that is resumed; without it the position is
            computed from `step` alone, which may cost more time but gives the same batches.
          pipeline: index of this input pipeline (one a process) in [0, num_pipelines).
          num_pipelines: number of processes that each read their part.
          replicas_per_pipeline: replicas that one pipeline feeds.

        Returns:
          A dataset of dicts of tensors, one element for one replica: replica 0, 1, ... of `step`,
          then replica 0, 1, ... of `step + 1`, and so on. The rows of a step, joined over pipelines
          and replicas in order, are the same for any number of both (a contiguous split).

        Raises:
          ValueError: `global_batch_size` does not divide by num_pipelines * replicas_per_pipeline,
            or `state` does not belong to this source and step.
        """
        ...

    def state(self, step: int) -> dict[str, Any]:
        """Gives the position of `step`: small, made of JSON values, for `batches(state=)`."""
        ...


def replica_batch_size(
    global_batch_size: int, *, pipeline: int, num_pipelines: int, replicas_per_pipeline: int
) -> int:
    """Gives the rows of one replica, after checking that the split is even.

    Raises:
      ValueError: a count below 1, a pipeline out of range, or an uneven split.
    """
    if num_pipelines < 1 or replicas_per_pipeline < 1:
        raise ValueError(
            "num_pipelines and replicas_per_pipeline must be at least 1. "
            f"Received: num_pipelines={num_pipelines}, "
            f"replicas_per_pipeline={replicas_per_pipeline}."
        )
    if not 0 <= pipeline < num_pipelines:
        raise ValueError(
            f"pipeline must be in [0, num_pipelines). Received: pipeline={pipeline}, "
            f"num_pipelines={num_pipelines}."
        )
    replicas = num_pipelines * replicas_per_pipeline
    if global_batch_size < 1 or global_batch_size % replicas:
        raise ValueError(
            "global_batch_size must be a positive multiple of the number of replicas "
            "(num_pipelines * replicas_per_pipeline). Received: "
            f"global_batch_size={global_batch_size} for {num_pipelines} * {replicas_per_pipeline} "
            f"= {replicas} replicas. Remedy: choose global_batch_size="
            f"{max(1, round(global_batch_size / replicas)) * replicas}."
        )
    return global_batch_size // replicas
