"""Settings of a run: frozen dataclasses whose fields are flags and keys of a --config file at once.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Settings:
        output_dir: str = setting(help="Where to write.", free=True)
        num_steps: int = setting(1000, help="Optimizer steps.")

No TensorFlow is imported here: `--help` of a binary stays quick.
"""

from __future__ import annotations

import dataclasses
import json
import os
import types
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from absl import flags

# Flags made here belong to the binary that asks for them, so that its --help shows them.
flags.disclaim_key_flags()

_REQUIRED = dataclasses.MISSING
_DEFINE: dict[type, Callable[..., Any]] = {
    str: flags.DEFINE_string,
    int: flags.DEFINE_integer,
    float: flags.DEFINE_float,
    bool: flags.DEFINE_bool,
    tuple: flags.DEFINE_list,
}


def setting(
    default: Any = _REQUIRED, *, help: str, free: bool = False, several: bool = False
) -> Any:
    """A field of a settings class: str, int, float, bool, tuple[str, ...], or one of them | None.

    Args:
      default: without it, flag or config must give a value.
      help: the text that --help shows; the default is added to it.
      free: may change when a run is resumed, since the trained weights do not depend on it.
      several: a tuple of such values is one too; its flag takes them comma separated.
    """
    metadata = {"help": help, "free": free, "several": several}
    return dataclasses.field(default=default, metadata=metadata)


def define_flags(settings_class: type, *, config: bool = True) -> None:
    """Defines one absl flag for each field, and --config."""
    for field, kind, _ in _kinds(settings_class):
        # The flag's own default None tells "not given" from "given".
        shown = field.default
        if shown is _REQUIRED:
            note = " (required)"
        elif shown is None or shown == "":
            note = ""
        else:
            note = f" (default: {','.join(shown) if kind is tuple else str(shown)})"
        define = flags.DEFINE_list if field.metadata.get("several") else _DEFINE[kind]
        define(field.name, None, field.metadata["help"] + note)
    if config:
        flags.DEFINE_string(
            "config",
            None,
            "JSON file of settings under their flags' names, or the name of a recipe; a flag "
            "overrides it.",
        )


def from_flags(settings_class: type, *, config: bool = True) -> Any:
    """Gives the settings of the parsed flags over those of the --config file, where there is one.

    Raises:
      ValueError: a required setting is missing, an unknown key in the file, a wrong type, or what
        the settings class refuses.
    """
    path = flags.FLAGS.config if config else None
    values = read_config(settings_class, path) if path else {}
    for field, kind, _ in _kinds(settings_class):
        if flags.FLAGS[field.name].present:
            value = flags.FLAGS[field.name].value
            several = field.metadata.get("several")
            values[field.name] = _numbers(field.name, kind, value) if several else value
    missing = [
        f"--{field.name}"
        for field in dataclasses.fields(settings_class)
        if field.default is _REQUIRED and field.name not in values
    ]
    if missing:
        raise ValueError(f"These flags are required: {', '.join(missing)}.")
    return settings_class(**values)


def read_config(settings_class: type, path: str) -> dict[str, Any]:
    """Gives the settings that a JSON file names; its key "about" is for people.

    Args:
      settings_class: whose settings they are.
      path: of the file; the bare name of a recipe (`recipes/NAME.json`) finds it wherever the
        package is installed, if there is no file of that name.

    Raises:
      ValueError: no JSON object in UTF-8, or a key that is no setting.
      OSError: the file cannot be read.
    """
    path = _recipe(path) or path
    with open(path, encoding="utf-8") as file:
        try:
            values = json.load(file)
        except (json.JSONDecodeError, UnicodeDecodeError) as error:
            raise ValueError(f"{path} must be JSON in UTF-8: {error}.") from error
    if not isinstance(values, dict):
        raise ValueError(f"{path} must hold a JSON object. Received: {values!r:.80}.")
    values.pop("about", None)
    known = {field.name for field in dataclasses.fields(settings_class)}
    unknown = sorted(set(values) - known)
    if unknown:
        raise ValueError(
            f"{path} has unknown keys: {', '.join(unknown)}. Known: {', '.join(sorted(known))}."
        )
    return values


def _recipe(name: str) -> str | None:
    """The file of a recipe, in an installed package or in a checkout."""
    if os.path.exists(name) or not name.isidentifier():
        return None
    package = Path(__file__).parent
    for room in (package, package.parent):
        path = room / "recipes" / f"{name}.json"
        if path.exists():
            return str(path)
    return None


def check_types(settings: Any) -> None:
    """Checks that every field has its type; call it in `__post_init__`. Lists become tuples.

    Raises:
      ValueError: names the setting, the type and the value.
    """
    for field, kind, optional in _kinds(type(settings)):
        value = getattr(settings, field.name)
        if value is None and optional:
            continue
        if field.metadata.get("several") and isinstance(value, list | tuple):
            if not value or len(set(value)) < len(value):
                raise ValueError(
                    f"{field.name} must be one value or several that differ. Received: {value!r}."
                )
            fits = all(_is_number(item, kind) for item in value)
            object.__setattr__(settings, field.name, value[0] if len(value) == 1 else tuple(value))
        elif kind is tuple and isinstance(value, list | tuple):
            object.__setattr__(settings, field.name, tuple(value))
            fits = all(isinstance(item, str) for item in value)
        elif kind is float:
            fits = _is_number(value, float)
        else:
            fits = isinstance(value, kind) and (kind is bool or not isinstance(value, bool))
        if not fits:
            name = "a list of strings" if kind is tuple else kind.__name__
            raise ValueError(f"{field.name} must be {name}. Received: {value!r}.")


def compared(settings: Any) -> Mapping[str, Any]:
    """Gives the settings that must be the same when a run is resumed, as JSON values."""
    return {
        field.name: list(value) if isinstance(value, tuple) else value
        for field in dataclasses.fields(settings)
        if not field.metadata["free"]
        for value in [getattr(settings, field.name)]
    }


def values_of(value: Any) -> tuple[Any, ...]:
    """Gives the values of a setting that may have several."""
    return value if isinstance(value, tuple) else (value,)


def _is_number(value: Any, kind: type) -> bool:
    kinds = float | int if kind is float else kind
    return isinstance(value, kinds) and not isinstance(value, bool)


def _numbers(name: str, kind: type, values: list[str]) -> tuple[Any, ...]:
    try:
        return tuple(kind(value) for value in values)
    except ValueError as error:
        raise ValueError(
            f"--{name} takes one {kind.__name__} or several, comma separated. "
            f"Received: {','.join(values)}."
        ) from error


def _kinds(settings_class: type) -> list[tuple[dataclasses.Field, type, bool]]:
    """Each field with its base type and whether it may be None."""
    hints = typing.get_type_hints(settings_class)
    kinds = []
    for field in dataclasses.fields(settings_class):
        hint, optional = hints[field.name], False
        if isinstance(hint, types.UnionType):
            hint = next(t for t in typing.get_args(hint) if t is not type(None))
            optional = True
        kinds.append((field, typing.get_origin(hint) or hint, optional))
    return kinds
