"""The suites: a module each, whose `cases(materials)` gives what is to be run.

A module is a suite by lying here: its name is the suite's, the first line of its docstring what
people read, `cases(materials) -> list[Case]` the work. A new contestant is a module of
benchmark/contestants/.
"""

from __future__ import annotations

import importlib
import pkgutil
from types import ModuleType

# As a reader wants them; others come behind, by name.
_ORDER = (
    "matmul",
    "encoder",
    "train",
    "finetune",
    "tokenize",
    "data",
    "serving",
    "coldstart",
    "scaling",
)


def names() -> list[str]:
    """The names of all suites."""
    found = {module.name for module in pkgutil.iter_modules(__path__)}
    return [name for name in _ORDER if name in found] + sorted(found - set(_ORDER))


def suite(name: str) -> ModuleType:
    """The module of a suite.

    Raises:
      ValueError: there is none of this name.
    """
    if name not in names():
        raise ValueError(f"Unknown suite {name!r}. Known: {', '.join(names())}.")
    return importlib.import_module(f"{__name__}.{name}")
