"""What an export has written."""

from __future__ import annotations

import dataclasses
from pathlib import Path


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportResult:
    """What was written.

    Attributes:
      path: the version directory.
      version: its number.
      signatures: names.
      difference: the largest difference of its answers from the Keras model's on sample texts.
      not_mixed: why several tasks have no signature `mixed`; None where they have, or must not.
    """

    path: Path
    version: int
    signatures: tuple[str, ...]
    difference: float
    not_mixed: str | None = None

    def report(self) -> str:
        """The same for people, with what comes next."""
        lines = [f"There is no signature mixed: {self.not_mixed}"] if self.not_mixed else []
        return "\n".join(
            [
                *lines,
                f"Wrote {self.path} with the signatures {', '.join(self.signatures)}; its answers "
                f"differ from the model's by at most {self.difference:.1e}. Serve it with: "
                f"bin/serve.py --model_base_path={self.path.parent}",
            ]
        )
