"""How many steps a run may skip."""

from __future__ import annotations


class BadSteps:
    """Compares the steps that a model's guard skipped with a limit.

    The count is part of the training state: a resumed run counts on.

    Args:
      model: compiled; with `guard_updates`, or it skips nothing.
      limit: skipped steps that the run may have; None: any number.

    Raises:
      ValueError: a negative limit, or a limit for a model that does not guard its updates.
    """

    def __init__(self, model, limit: int | None = None):
        self._guard = getattr(model, "update_guard", None)
        self._limit = limit
        if limit is not None and limit < 0:
            raise ValueError(f"max_bad_steps must not be negative. Received: {limit}.")
        if limit is not None and self._guard is None:
            raise ValueError(
                "max_bad_steps needs a model that was compiled with guard_updates=True. Received: "
                f"max_bad_steps={limit}."
            )

    def count(self) -> int:
        """Gives the steps skipped since the run's very start."""
        # Under a strategy `value` has a copy on every replica, of which int() would not choose one.
        return 0 if self._guard is None else int(self._guard.skipped.value.numpy())

    def metrics(self) -> dict[str, float]:
        """Gives the count under its name in the log; nothing for a model without a guard."""
        return {} if self._guard is None else {"skipped_steps": float(self.count())}

    def too_many(self) -> bool:
        return self._limit is not None and self.count() > self._limit

    def explained(self, state) -> str:
        """What to tell the user when there are too many; `state` is where the run stands."""
        spike = self._guard.spike_factor
        spikes = f", or a loss above {spike:g} times its running median" if spike else ""
        return (
            f"{self.count()} steps were skipped for a loss or a gradient that is not finite{spikes}"
            f"; max_bad_steps allows {self._limit}. Skipped steps change no weight: the state in "
            f"{state} is good. Remedy: a lower learning_rate, a longer warm-up or another "
            "precision in a new output_dir, or a higher max_bad_steps to go on."
        )
