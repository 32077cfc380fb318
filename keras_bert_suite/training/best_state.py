"""Which state of a run has the lowest held-out loss."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any


class BestState:
    """Remembers the step with the lowest total loss of all evaluations.

    Args:
      term_weights: {loss term: factor in the total loss}, the model's.
    """

    def __init__(self, term_weights: Mapping[str, float]):
        self._weights = dict(term_weights)
        self.step: int | None = None
        self.loss = math.inf

    def improved(self, step: int, metrics: Mapping[str, float]) -> bool:
        """Takes the metrics of an evaluation; gives whether its step is the best so far."""
        known = {t: w for t, w in self._weights.items() if f"{t}_loss" in metrics}
        loss = sum(weight * metrics[f"{term}_loss"] for term, weight in known.items())
        if not known or not loss < self.loss:
            return False
        self.step, self.loss = step, loss
        return True

    def chosen(self) -> int:
        """Gives the best step.

        Raises:
          ValueError: no evaluation gave a loss that is finite.
        """
        if self.step is None:
            raise ValueError(
                "There is no best state: no evaluation gave a finite held-out loss. Remedy: "
                "--final_model=last, or other settings in a new output_dir."
            )
        return self.step

    def to_json(self) -> dict[str, Any] | None:
        return None if self.step is None else {"step": self.step, "loss": self.loss}

    def from_json(self, values: Mapping[str, Any] | None) -> None:
        """Goes back to what a saved state knew."""
        self.step = values["step"] if values else None
        self.loss = values["loss"] if values else math.inf
