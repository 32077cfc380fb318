"""What happens to a row of a file that cannot be used: it stops the run, or it is counted."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass
class BadRows:
    """Receives every bad row of a file with its place and reason.

    Attributes:
      skip: whether to go on; otherwise the first bad row raises.
      messages: what was wrong with each row that was skipped.
    """

    skip: bool = False
    messages: list[str] = dataclasses.field(default_factory=list)

    def add(self, path: str | Path, place: int | str, reason: str) -> None:
        """Takes note of a bad row.

        Args:
          path: the file.
          place: the line where the row begins, from 1, or words that tell the place.
          reason: what is wrong with it, a whole sentence.

        Raises:
          ValueError: file, place and reason, unless `skip`.
        """
        if not self.skip:
            raise ValueError(
                f"{_message(path, place, reason)} (--skip_bad_rows goes on without such rows)"
            )
        self.leave_out(path, place, reason)

    def leave_out(self, path: str | Path, place: int | str, reason: str) -> None:
        """Takes note of a row that is left out with a warning, whatever `skip` says."""
        self.messages.append(_message(path, place, reason))


def _message(path: str | Path, place: int | str, reason: str) -> str:
    place = f"line {place}" if isinstance(place, int) else place
    return f"{path}, {place}: {reason}"
