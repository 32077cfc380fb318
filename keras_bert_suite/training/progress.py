"""What a person sees of a running training: a bar on a terminal, plain lines elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping


class Progress:
    """Shows steps, loss, tokens/s and the time left. Use it as a context manager.

    On a terminal a bar (rich) that is renewed after every call of the step function; otherwise one
    plain line for each `log`, so that a log file stays readable.

    Args:
      num_steps: optimizer steps of the whole run.
      first_step: the step that the run (re)starts from.
      stream: where to write, sys.stderr by default.
      quiet: shows nothing (the other workers of a multi-worker run).
    """

    def __init__(self, *, num_steps: int, first_step: int = 0, stream=None, quiet: bool = False):
        self.num_steps = num_steps
        self.first_step = first_step
        self.stream = stream or sys.stderr
        self.quiet = quiet
        self._is_terminal = self.stream.isatty() and not quiet
        self._bar = None
        self._started = time.monotonic()

    def __enter__(self):
        self._started = time.monotonic()
        if self._is_terminal:
            self._bar, self._task = _make_bar(self.stream, self.num_steps, self.first_step)
            self._bar.start()
        return self

    def __exit__(self, *error):
        if self._bar is not None:
            self._bar.stop()

    def update(self, step: int, *, loss: float | None = None, tokens_per_second: float = 0.0):
        """Moves the bar to `step` done steps; `loss` in nats, the mean since the last log."""
        if self._bar is not None:
            text = "" if loss is None else f"loss {loss:.4f}  {tokens_per_second:,.0f} tokens/s"
            self._bar.update(self._task, completed=step, text=text)

    def log(self, step: int, metrics: Mapping[str, float]):
        """Shows the metrics of `step` as a line; under the bar on a terminal."""
        if self.quiet:
            return
        # With a single objective its loss is the loss.
        repeated = {n for n in metrics if n.endswith("_loss") and metrics[n] == metrics.get("loss")}
        shown = "  ".join(
            f"{name} {_short(value)}" for name, value in metrics.items() if name not in repeated
        )
        line = f"step {step}/{self.num_steps}  {shown}"
        if self._bar is not None:
            self._bar.console.print(line, highlight=False)
        else:
            print(f"{line}  {self.time_left(step)} left", file=self.stream, flush=True)

    def message(self, text: str):
        """Shows a line of text."""
        if self._bar is not None:
            self._bar.console.print(text, highlight=False)
        elif not self.quiet:
            print(text, file=self.stream, flush=True)

    def time_left(self, step: int) -> str:
        """Gives hours:minutes:seconds until the last step at the mean pace so far."""
        done = step - self.first_step
        if done <= 0:
            return "-:--:--"
        seconds = (time.monotonic() - self._started) / done * (self.num_steps - step)
        minutes, seconds = divmod(round(seconds), 60)
        return f"{minutes // 60}:{minutes % 60:02d}:{seconds:02d}"


def _make_bar(stream, num_steps: int, first_step: int):
    from rich import console, progress

    bar = progress.Progress(
        progress.TextColumn("step"),
        progress.MofNCompleteColumn(),
        progress.BarColumn(),
        progress.TextColumn("{task.fields[text]}"),
        progress.TimeElapsedColumn(),
        progress.TextColumn("left"),
        progress.TimeRemainingColumn(),
        console=console.Console(file=stream),
    )
    return bar, bar.add_task("train", total=num_steps, completed=first_step, text="")


def _short(value: float) -> str:
    if abs(value) < 1e-3:
        return f"{value:.2e}" if value else "0"
    return f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.4f}"
