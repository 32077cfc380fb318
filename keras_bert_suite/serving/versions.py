"""Version directories, as TF Serving finds them: EXPORT_DIR/1, EXPORT_DIR/2, ..."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

# Describes a version beside its SavedModel.
DESCRIPTION_FILE = "serving.json"


def find_versions(base_path: str | os.PathLike[str]) -> dict[int, Path]:
    """The version directories under a base path: those named by an integer, 00000123 as 123."""
    found: dict[int, Path] = {}
    with contextlib.suppress(OSError), os.scandir(os.fspath(base_path)) as entries:
        for entry in entries:
            if entry.name.isascii() and entry.name.isdigit() and entry.is_dir():
                found[int(entry.name)] = Path(entry.path)
    return found
