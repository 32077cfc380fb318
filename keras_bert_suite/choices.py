"""Named alternatives (a task, a tuning method): found by name, told by flags, kept as JSON.

A new alternative is a frozen dataclass in a new file beside its siblings. Nothing lists it: its
class is found in its package, its options become flags of the binaries, and what it was told is
stored in config.json.

    @dataclasses.dataclass(frozen=True, kw_only=True)
    class Lora(TuningMethod):
        name: ClassVar[str] = "lora"
        rank: int = option(8, kind="integer", help="Rank of the update.")
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Self

from absl import flags

# Flags made here belong to the binary that asks for them, so that its --help shows them.
flags.disclaim_key_flags()

_DEFINE: dict[str, Callable[..., flags.FlagHolder]] = {
    "string": flags.DEFINE_string,
    "list": flags.DEFINE_list,
    "integer": flags.DEFINE_integer,
    "float": flags.DEFINE_float,
}


def option(
    default: Any = None, *, help: str, kind: str = "string", adjustable: bool = False
) -> Any:
    """A dataclass field that is a flag too.

    Args:
      default: the value without the flag.
      help: the text that --help shows.
      kind: "string", "list" (comma separated, a tuple of str in the field), "integer" or "float".
      adjustable: whether it may be told again when a trained model is used (the columns of another
        file, for instance); otherwise training fixes it.
    """
    return dataclasses.field(
        default=default, metadata={"help": help, "kind": kind, "adjustable": adjustable}
    )


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """Base of a room of alternatives.

    Attributes:
      name: what a flag or config.json calls the alternative.
      what: what messages call any one of this room ("task").
    """

    name: ClassVar[str]
    what: ClassVar[str] = "choice"

    @classmethod
    def alternatives(cls) -> dict[str, type[Self]]:
        """All alternatives by name: those of the base's package and any defined elsewhere."""
        room = importlib.import_module(cls.__module__.rpartition(".")[0])
        for module in pkgutil.iter_modules(room.__path__):
            importlib.import_module(f"{room.__name__}.{module.name}")
        found, unseen = {}, [cls]
        while unseen:
            candidate = unseen.pop()
            unseen.extend(candidate.__subclasses__())
            if "name" in vars(candidate):
                found[candidate.name] = candidate
        return dict(sorted(found.items()))

    @classmethod
    def named(cls, name: str) -> type[Self]:
        """The class of one alternative.

        Raises:
          ValueError: no alternative has this name.
        """
        known = cls.alternatives()
        if name not in known:
            raise ValueError(f"Unknown {cls.what} {name!r}. Known: {', '.join(known)}.")
        return known[name]

    @classmethod
    def from_options(cls, name: str, options: Mapping[str, Any]) -> Self:
        """The alternative `name`, told what the user gave.

        Args:
          name: the alternative.
          options: option -> value; None stands for "not given".

        Raises:
          ValueError: unknown name, an option of another alternative, or a value out of range.
        """
        chosen = cls.named(name)
        return chosen(**chosen._accepted(options))

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """The alternative that `to_config` described.

        Raises:
          ValueError: unknown name or unknown key.
        """
        if not isinstance(config, Mapping) or not isinstance(config.get("name"), str):
            raise ValueError(
                f'The config of a {cls.what} is an object with a "name". Received: {config!r}.'
            )
        chosen = cls.named(config["name"])
        values = {key: value for key, value in config.items() if key != "name"}
        unknown = sorted(set(values) - {field.name for field in dataclasses.fields(chosen)})
        if unknown:
            raise ValueError(
                f"The config of {cls.what} {chosen.name!r} has unknown keys: {', '.join(unknown)}. "
                "Was it written by a newer keras_bert_suite?"
            )
        return chosen(**{key: _tuples(value) for key, value in values.items()})

    def to_config(self) -> dict[str, Any]:
        """JSON values from which `from_config` makes an equal object."""
        values = {field.name: getattr(self, field.name) for field in dataclasses.fields(self)}
        return {"name": self.name, **{key: _lists(value) for key, value in values.items()}}

    def adjusted(self, options: Mapping[str, Any]) -> Self:
        """This alternative with adjustable options told anew (None stands for "not given")."""
        return dataclasses.replace(self, **self._accepted(options))

    @classmethod
    def define_flags(cls, *, adjustable_only: bool = False) -> dict[str, flags.FlagHolder]:
        """Makes one absl flag of each option of each alternative; returns option -> holder."""
        holders: dict[str, flags.FlagHolder] = {}
        for chosen in cls.alternatives().values():
            for field in chosen._options():
                if field.name in holders or (adjustable_only and not field.metadata["adjustable"]):
                    continue
                # The default None tells "not given" from "given"; the field keeps the real default.
                shown = f" (default: {field.default})" if field.default else ""
                define = _DEFINE[field.metadata["kind"]]
                holders[field.name] = define(field.name, None, field.metadata["help"] + shown)
        return holders

    @classmethod
    def _options(cls) -> list[dataclasses.Field]:
        return [field for field in dataclasses.fields(cls) if "help" in field.metadata]

    @classmethod
    def _accepted(cls, options: Mapping[str, Any]) -> dict[str, Any]:
        given = {key: _tuples(value) for key, value in options.items() if value is not None}
        foreign = sorted(set(given) - {field.name for field in cls._options()})
        if foreign:
            raise ValueError(
                f"{', '.join('--' + key for key in foreign)} does not apply to the "
                f"{cls.what} {cls.name!r}. Leave it out."
            )
        return given


def _tuples(value: Any) -> Any:
    return tuple(_tuples(item) for item in value) if isinstance(value, list | tuple) else value


def _lists(value: Any) -> Any:
    return [_lists(item) for item in value] if isinstance(value, tuple) else value
