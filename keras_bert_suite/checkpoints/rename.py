"""One table of rules per foreign format, read in both directions.

A rule joins one variable of ours to one or more tensors of theirs by a transform that has an
inverse. A format is a list of such rules; reading and writing are the two functions below, and no
format has code of its own for either. Ours is a path of attributes from a root object
("encoder.blocks.0.attention.query_key_value.kernel"), so the names that Keras gives to variables
may change without a checkpoint noticing.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any, Protocol

import numpy as np

from keras_bert_suite.checkpoints.construction import set_value

_LISTED = 8  # names in an error message before "and N more"


class TensorSource(Protocol):
    """What a file format shows of its tensors; `read` is the only call that touches their bytes."""

    @property
    def path(self) -> Any: ...

    @property
    def names(self) -> Collection[str]: ...

    def shape(self, name: str) -> tuple[int, ...]: ...

    def read(self, name: str) -> np.ndarray: ...


class Transform:
    """Their tensors side by side along our last axis; a single one is taken as it is."""

    def to_ours(self, tensors: Sequence[np.ndarray]) -> np.ndarray:
        """Returns our array, made of theirs in the order of the rule."""
        return tensors[0] if len(tensors) == 1 else np.concatenate(tensors, axis=-1)

    def to_theirs(self, value: np.ndarray, count: int) -> list[np.ndarray]:
        """Returns `count` arrays, contiguous in memory; the inverse of `to_ours`."""
        return [np.ascontiguousarray(part) for part in np.split(value, count, axis=-1)]

    def their_shape(self, shape: Sequence[int], count: int) -> tuple[int, ...]:
        """Returns the shape of each of `count` tensors that make one of ours of `shape`."""
        return (*shape[:-1], shape[-1] // count)


class Transposed(Transform):
    """Theirs is a matrix [outputs, inputs], as in PyTorch; ours is Keras' [inputs, outputs]."""

    def to_ours(self, tensors):
        return super().to_ours([tensor.T for tensor in tensors])

    def to_theirs(self, value, count):
        return [np.ascontiguousarray(part.T) for part in super().to_theirs(value, count)]

    def their_shape(self, shape, count):
        return super().their_shape(shape, count)[::-1]


SAME = Transform()
TRANSPOSED = Transposed()


@dataclasses.dataclass(frozen=True)
class Rule:
    """One variable of ours and the tensors of theirs that hold it.

    Attributes:
      ours: path of the variable, e.g. "encoder.blocks.{layer}.attention_norm.gamma".
      theirs: their names; several are the parts of ours, in order.
      transform: how the values change.
    """

    ours: str
    theirs: tuple[str, ...]
    transform: Transform = SAME

    def for_layer(self, layer: int) -> Rule:
        """Returns the rule with {layer} filled in."""
        theirs = tuple(name.format(layer=layer) for name in self.theirs)
        return dataclasses.replace(self, ours=self.ours.format(layer=layer), theirs=theirs)


def dense(ours: str, *theirs: str) -> tuple[Rule, Rule]:
    """Returns the rules of a dense layer; several of theirs are the parts of ours, in order."""
    return (
        Rule(f"{ours}.kernel", tuple(f"{name}.weight" for name in theirs), TRANSPOSED),
        Rule(f"{ours}.bias", tuple(f"{name}.bias" for name in theirs)),
    )


def norm(ours: str, theirs: str) -> tuple[Rule, Rule]:
    """Returns the rules of a LayerNorm."""
    return (
        Rule(f"{ours}.gamma", (f"{theirs}.weight",)),
        Rule(f"{ours}.beta", (f"{theirs}.bias",)),
    )


@dataclasses.dataclass(frozen=True)
class Binding:
    """A rule with its live Keras variable."""

    rule: Rule
    variable: Any


def expand(rules: Iterable[Rule], *, num_layers: int) -> list[Rule]:
    """Returns the rules with each {layer} repeated for the layers 0 .. num_layers - 1."""
    expanded = []
    for rule in rules:
        layered = "{layer}" in rule.ours
        expanded += [rule.for_layer(i) for i in range(num_layers)] if layered else [rule]
    return expanded


def bind(rules: Iterable[Rule], roots: Mapping[str, Any]) -> list[Binding]:
    """Returns each rule with its variable.

    Args:
      rules: expanded rules whose paths begin with a name of `roots`.
      roots: name -> Keras layer or model; together they own the weights to be covered.

    Raises:
      ValueError: a weight of the roots has no rule, a rule has no weight, or two rules share one.
    """
    bindings = [Binding(rule, resolve(roots, rule.ours)) for rule in rules]
    weights = {id(weight): weight for root in roots.values() for weight in root.weights}
    bound = [id(binding.variable) for binding in bindings]
    without = [weight.path for key, weight in weights.items() if key not in set(bound)]
    strangers = [b.rule.ours for b in bindings if id(b.variable) not in weights]
    twice = [b.rule.ours for b, key in zip(bindings, bound, strict=True) if bound.count(key) > 1]
    theirs = [name for binding in bindings for name in binding.rule.theirs]
    twice += sorted({name for name in theirs if theirs.count(name) > 1})
    if without or strangers or twice:
        raise ValueError(
            "A rename table must use each variable and each tensor exactly once. "
            f"Without a rule: {listed(without)}. Not a weight of the model: {listed(strangers)}. "
            f"Used more than once: {listed(twice)}"
        )
    return bindings


def resolve(roots: Mapping[str, Any], path: str) -> Any:
    """Returns the object at a path of attributes; a number is an index ("encoder.blocks.0.x").

    Raises:
      ValueError: there is no such attribute; names the part.
    """
    first, *rest = path.split(".")
    try:
        value = roots[first]
        for part in rest:
            value = value[int(part)] if part.isdigit() else getattr(value, part)
    except (KeyError, IndexError, AttributeError) as error:
        raise ValueError(f"The model has no {path!r}: {error!r}") from error
    return value


def check(
    bindings: Iterable[Binding], source: TensorSource, *, aside: Collection[str] = ()
) -> None:
    """Compares names and shapes, before anything is read.

    Args:
      bindings: from `bind`.
      source: the tensors, under the names of the rules.
      aside: names in the source that are known and deliberately not read.

    Raises:
      ValueError: tensors missing or left over (all are listed), or a shape that is not ours.
    """
    bindings = list(bindings)
    wanted = {name for binding in bindings for name in binding.rule.theirs}
    missing = sorted(wanted - set(source.names))
    leftover = sorted(set(source.names) - wanted - set(aside))
    if missing or leftover:
        raise ValueError(
            f"{source.path}: its tensors must be those of the model that config.json describes. "
            f"Missing: {listed(missing)}. Not in the model: {listed(leftover)}"
        )
    for binding in bindings:
        names = binding.rule.theirs
        expected = binding.rule.transform.their_shape(tuple(binding.variable.shape), len(names))
        for name in names:
            found = tuple(source.shape(name))
            if found != expected:
                raise ValueError(
                    f"{source.path}: tensor {name!r} must have the shape {list(expected)} by "
                    f"config.json. Found: {list(found)}"
                )


def read(bindings: Iterable[Binding], source: TensorSource) -> None:
    """Gives the variables the source's tensors as values, one variable at a time.

    Call `check` first. The values are cast to the variable's dtype. The variables may be without
    values (`construction.without_values`).

    Raises:
      ValueError: a value is NaN or infinite; names the tensor.
    """
    for binding in bindings:
        tensors = [read_finite(source, name) for name in binding.rule.theirs]
        set_value(binding.variable, binding.rule.transform.to_ours(tensors))


def write(bindings: Iterable[Binding]) -> dict[str, np.ndarray]:
    """Returns their names -> values, in the variables' dtypes; the inverse of `read`."""
    tensors: dict[str, np.ndarray] = {}
    for binding in bindings:
        rule, value = binding.rule, np.asarray(binding.variable.value)
        parts = rule.transform.to_theirs(value, len(rule.theirs))
        tensors.update(zip(rule.theirs, parts, strict=True))
    return tensors


def check_tied(source: TensorSource, ties: Mapping[str, str]) -> None:
    """Compares tensors that repeat another: our model has one variable for both.

    Args:
      source: the tensors.
      ties: name -> the name it must equal; a name that the source lacks is left out.

    Raises:
      ValueError: the two differ; names both.
    """
    for name, original in ties.items():
        if name not in source.names or original not in source.names:
            continue
        if source.shape(name) != source.shape(original) or not np.array_equal(
            source.read(name), source.read(original)
        ):
            raise ValueError(
                f"{source.path}: tensor {name!r} must equal {original!r}, which this model uses "
                "for both. They differ: a model with untied weights cannot be read"
            )


def read_finite(source: TensorSource, name: str) -> np.ndarray:
    """Returns the tensor, of which no value is NaN or infinite.

    Raises:
      ValueError: some are; says how many.
    """
    tensor = source.read(name)
    # One sum is far cheaper than a test of each value; only a sum that is not finite is looked into
    # (finite values can overflow it).
    with np.errstate(over="ignore", invalid="ignore"):
        total = np.sum(tensor, dtype=np.float32)
    if not math.isfinite(total):
        bad = int(np.size(tensor) - np.count_nonzero(np.isfinite(tensor)))
        if bad:
            raise ValueError(
                f"{source.path}: tensor {name!r} must be finite. {bad} of its {np.size(tensor)} "
                "values are NaN or infinite"
            )
    return tensor


def listed(names: Collection[str]) -> str:
    """Returns the names for an error message: the first few, and how many more there are."""
    names = list(names)
    if not names:
        return "none"
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(names[:_LISTED]) + more
