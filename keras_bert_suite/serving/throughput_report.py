"""What was measured of a server, as tables."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence

OFFLINE_ROWS = 32  # texts of a batch of the graph alone


@dataclasses.dataclass(frozen=True, kw_only=True)
class Measured:
    """One setting.

    Attributes:
      clients: that ask at once.
      rows: texts of a request.
      rate: texts a second of all clients.
      p50, p99: seconds from a request to its answer.
    """

    clients: int
    rows: int
    rate: float
    p50: float
    p99: float


@dataclasses.dataclass(frozen=True, kw_only=True)
class Report:
    """All measurements of a model.

    Attributes:
      start_seconds: from the start of the server's process to its first answer.
      offline_rate: texts a second of the graph alone in batches of 32, the better of a run before
        and a run after.
      offline_p50: seconds of the graph alone for a batch of one text.
      single: one client, one text a request, without batching.
      settings: with batching.
    """

    start_seconds: float
    offline_rate: float
    offline_p50: float
    single: Measured
    settings: Sequence[Measured]

    def markdown(self) -> str:
        """The tables."""
        added = self.single.p50 / self.offline_p50 - 1
        lines = [
            "| start to first answer | graph alone, batch 1: p50 | served, batch 1: p50 | added |",
            "|---|---|---|---|",
            f"| {self.start_seconds:.1f} s | {self.offline_p50 * 1e3:.2f} ms "
            f"| {self.single.p50 * 1e3:.2f} ms | {added:+.1%} |",
            "",
            f"Graph alone in batches of {OFFLINE_ROWS}: {self.offline_rate:.0f} texts/s.",
            "",
            "| clients | texts a request | texts/s | of the graph alone | p50 | p99 |",
            "|---|---|---|---|---|---|",
        ]
        lines += [
            f"| {one.clients} | {one.rows} | {one.rate:.0f} | {one.rate / self.offline_rate:.0%} "
            f"| {one.p50 * 1e3:.1f} ms | {one.p99 * 1e3:.1f} ms |"
            for one in self.settings
        ]
        return "\n".join(lines)
