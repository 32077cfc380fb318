"""JSON files of a tokenizer: one object each, read with clear errors, written whole."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from keras_bert_suite.files import atomic_write


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file; empty when there is no such file.

    Raises:
      ValueError: not UTF-8, not JSON, or not an object; names the file and the line.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except IsADirectoryError:
        raise ValueError(f"{path} must be a JSON file, and it is a directory.") from None
    except UnicodeDecodeError as error:
        raise ValueError(f"{path} is not UTF-8: {error}") from None
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path}, line {error.lineno} is not JSON: {error.msg}. Repair or remove the file."
        ) from None
    except RecursionError:
        raise ValueError(f"{path} is nested too deeply to be a tokenizer's file.") from None
    if not isinstance(content, dict):
        raise ValueError(f"{path} must hold a JSON object. Got: {type(content).__name__}")
    return content


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes an object; the file appears complete or not at all."""
    with atomic_write(path) as file:
        json.dump(content, file, indent=2)
        file.write("\n")
