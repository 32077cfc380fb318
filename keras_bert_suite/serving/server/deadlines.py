"""Until when somebody waits for the answer of the request that this thread works on."""

from __future__ import annotations

import contextlib
import contextvars
import time
from collections.abc import Iterator

# Beyond this a client means "no deadline"; locks and conditions do not take longer timeouts.
_LONGEST_SECONDS = 1e6

_deadline: contextvars.ContextVar[float | None] = contextvars.ContextVar("deadline", default=None)


@contextlib.contextmanager
def within(seconds: float | None) -> Iterator[None]:
    """Sets the deadline of the calls inside the block; None for none."""
    endless = seconds is None or seconds > _LONGEST_SECONDS
    token = _deadline.set(None if endless else time.monotonic() + max(0.0, seconds or 0.0))
    try:
        yield
    finally:
        _deadline.reset(token)


def seconds_left(deadline: float | None) -> float | None:
    """The seconds until a deadline, 0 when it has passed; None for none."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def current() -> float | None:
    """The time.monotonic() after which nobody waits; None where nothing was said."""
    return _deadline.get()
