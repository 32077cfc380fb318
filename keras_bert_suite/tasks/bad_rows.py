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

    def add(self, path: str | Path, line: int, reason: str) -> None:
        """Takes note of a bad row.

        Args:
          path: the file.
          line: where the row begins, from 1.
          reason: what is wrong with it, a whole sentence.

        Raises:
          ValueError: file, line and reason, unless `skip`.
        """
        message = f"{path}, line {line}: {reason}"
        if not self.skip:
            raise ValueError(f"{message} (--skip_bad_rows goes on without such rows)")
        self.messages.append(message)
