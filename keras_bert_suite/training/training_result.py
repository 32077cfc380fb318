"""What a training run came to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class TrainingResult:
    """What a run came to.

    Attributes:
      history: the records of log.jsonl, those of earlier parts of a resumed run included.
      seconds: wall time of this part of the run.
      interrupted: the number of the signal that ended it early, or None.
      step: optimizer steps done, from the very start.
      tokens_per_second: real (not padding) tokens trained per second of this part's step calls, the
        first call (tracing) left out; 0 when there was no other.
      best_step: the step with the lowest held-out loss, if the trainer keeps the best state.
    """

    history: list[dict[str, Any]]
    seconds: float
    interrupted: int | None
    step: int
    tokens_per_second: float
    best_step: int | None = None

    @property
    def exit_status(self) -> int:
        """The exit status a shell expects: 0, or 128 + signal (130 Ctrl-C, 143 SIGTERM)."""
        return 128 + self.interrupted if self.interrupted else 0
