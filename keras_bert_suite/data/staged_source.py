"""Sources of batches one after the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import tensorflow as tf


class StagedSource:
    """The batches of several sources, each for a number of steps; the last one without end.

    A BatchSource itself: the position of a step follows from the numbers of steps alone. Each
    source begins at its own step 0, and holds its first records in memory from then on.

    Args:
      sources: the BatchSources, in order.
      num_steps: optimizer steps of each; that of the last has no influence.

    Raises:
      ValueError: from the methods, a state of another stage, or what the sources refuse.
    """

    def __init__(self, sources: Sequence[Any], *, num_steps: Sequence[int]):
        assert len(sources) == len(num_steps) > 0 and min(num_steps) > 0
        self._sources, self._num_steps = list(sources), list(num_steps)
        self.files = self._sources[0].files
        self.global_batch_size = self._sources[0].global_batch_size

    def batches(
        self,
        step: int,
        *,
        state: Mapping[str, Any] | None = None,
        pipeline: int = 0,
        num_pipelines: int = 1,
        replicas_per_pipeline: int = 1,
    ) -> tf.data.Dataset:
        """Gives the per-replica batches from `step` on (see `source.BatchSource.batches`)."""
        index, local = self._place(step)
        if state is not None and state.get("stage") != index:
            raise ValueError(
                f"The data state belongs to another plan of stages. Received: stage "
                f"{state.get('stage')}; step {step} lies in stage {index}."
            )
        dataset = None
        for stage in range(index, len(self._sources)):
            begin = local if stage == index else 0
            part = self._sources[stage].batches(
                begin,
                state=state["state"] if state is not None and stage == index else None,
                pipeline=pipeline,
                num_pipelines=num_pipelines,
                replicas_per_pipeline=replicas_per_pipeline,
            )
            if stage < len(self._sources) - 1:
                part = part.take((self._num_steps[stage] - begin) * replicas_per_pipeline)
            dataset = part if dataset is None else dataset.concatenate(part)
        # Said, because tf.distribute asks every worker before each batch of another size otherwise.
        endless = tf.data.experimental.assert_cardinality(tf.data.INFINITE_CARDINALITY)
        return dataset.apply(endless)

    def state(self, step: int) -> dict[str, Any]:
        """Gives the stage of `step` and the position in it."""
        index, local = self._place(step)
        return {"stage": index, "state": self._sources[index].state(local)}

    def token_counts(self):
        """Gives the counts of the records, which are the same in every stage."""
        return self._sources[0].token_counts()

    def real_token_shares(self) -> tuple[float, float]:
        """Measures the first stage (see `PretrainingSource.real_token_shares`)."""
        return self._sources[0].real_token_shares()

    def _place(self, step: int) -> tuple[int, int]:
        """The stage of a step, and the step in it."""
        last = len(self._sources) - 1
        for index, count in enumerate(self._num_steps):
            if step < count or index == last:
                return index, step
            step -= count
        raise AssertionError
