"""Ctrl-C and SIGTERM as a wish to stop that the training loop honours between two calls."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class StopSignals:
    """While entered, remembers SIGINT or SIGTERM instead of ending the process.

    The second signal has its usual effect at once. Outside the main thread Python allows no
    handlers: signals keep their usual effect there.

    Args:
      notify: called with a line of text when the first signal arrives.

    Attributes:
      received: the number of the signal, or None.
    """

    def __init__(self, notify: Callable[[str], None]):
        self.received: int | None = None
        self._notify = notify
        self._previous: dict[int, object] = {}

    def __enter__(self):
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(self, *error):
        self._restore()

    def _handle(self, number, frame):
        self.received = number
        self._restore()
        self._notify(
            f"{signal.Signals(number).name}: stopping after the current steps and saving the state "
            "(once more to stop at once)"
        )

    def _restore(self):
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
