"""Tables that give the tensors of other formats their names in Hugging Face's.

Whatever reads a model here knows one set of names, Hugging Face's. A format is a table of rules
from its names to those, each with what happens to the numbers; `ForeignNames` shows a file through
its table, and `to_foreign` is the way back.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

import numpy as np

from keras_bert_suite.checkpoints.rename import TensorSource


@dataclasses.dataclass(frozen=True)
class Layout:
    """How an array of another format lies, compared with Hugging Face's.

    Attributes:
      joined: the axis of theirs that is joined with the next one (attention heads and their width,
        which Hugging Face has as one); None joins nothing.
      transposed: whether, joined, it is a matrix [inputs, outputs].
    """

    joined: int | None = None
    transposed: bool = False

    def shape(self, theirs: tuple[int, ...]) -> tuple[int, ...]:
        """Returns the shape in Hugging Face's layout; a shape that does not fit stays as it is."""
        shape = tuple(theirs)
        if self.joined is not None and len(shape) > self.joined + 1:
            i = self.joined
            shape = (*shape[:i], shape[i] * shape[i + 1], *shape[i + 2 :])
        return shape[::-1] if self.transposed else shape

    def to_huggingface(self, theirs: np.ndarray) -> np.ndarray:
        """Returns the array in Hugging Face's layout."""
        shape = self.shape(theirs.shape)
        joined = theirs.reshape(shape[::-1] if self.transposed else shape)
        return joined.T if self.transposed else joined

    def to_theirs(self, value: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        """Returns the array in their layout, of their `shape`; the inverse of `to_huggingface`."""
        return np.ascontiguousarray((value.T if self.transposed else value).reshape(shape))


SAME = Layout()
KERNEL = Layout(transposed=True)
HEADS_KERNEL = Layout(joined=1, transposed=True)  # [hidden, heads, width]
HEADS_BIAS = Layout(joined=0)  # [heads, width]
OUTPUT_KERNEL = Layout(joined=0, transposed=True)  # [heads, width, hidden]


@dataclasses.dataclass(frozen=True)
class ForeignRule:
    """One tensor: its name there, its name at Hugging Face, how it lies there.

    `{layer}` in both names stands for the number of a layer. In theirs may also stand
    `{layer_from_4}`, the number plus 4, and `{suffix}`, "" for the first layer, then "_1", "_2".
    """

    theirs: str
    huggingface: str
    layout: Layout = SAME

    def for_layer(self, layer: int) -> ForeignRule:
        """Returns the rule with the layer filled in."""
        theirs = self.theirs.format(
            layer=layer, layer_from_4=layer + 4, suffix=f"_{layer}" if layer else ""
        )
        return ForeignRule(theirs, self.huggingface.format(layer=layer), self.layout)


def expand(rules: Iterable[ForeignRule], *, num_layers: int) -> list[ForeignRule]:
    """Returns the rules with each {layer} repeated for the layers 0 .. num_layers - 1."""
    expanded = []
    for rule in rules:
        layered = "{layer}" in rule.huggingface
        expanded += [rule.for_layer(i) for i in range(num_layers)] if layered else [rule]
    return expanded


class ForeignNames:
    """A tensor source of another format under Hugging Face's names.

    Args:
      source: the file.
      rules: expanded. A rule whose tensor the file lacks is left out.
      ignored: says which of their names are known and no weights of a model.
      unknown: gives the name under which a tensor without a rule is shown and reported.

    Raises:
      ValueError: two tensors of the file have one name at Hugging Face, and differ.
    """

    def __init__(
        self,
        source: TensorSource,
        rules: Iterable[ForeignRule],
        *,
        ignored: Callable[[str], bool] = lambda name: False,
        unknown: Callable[[str], str] = lambda name: name,
    ):
        self.path = source.path
        self._source = source
        by_name = {rule.theirs: rule for rule in rules}
        self._rules: dict[str, ForeignRule] = {}
        for name in sorted(source.names):
            if ignored(name):
                continue
            rule = by_name.get(name) or ForeignRule(name, unknown(name))
            if rule.huggingface in self._rules:
                self._check_equal(rule, self._rules[rule.huggingface])
            self._rules[rule.huggingface] = rule

    @property
    def names(self) -> Collection[str]:
        return self._rules.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        rule = self._rules[name]
        return rule.layout.shape(tuple(self._source.shape(rule.theirs)))

    def read(self, name: str) -> np.ndarray:
        rule = self._rules[name]
        return rule.layout.to_huggingface(self._source.read(rule.theirs))

    def _check_equal(self, rule: ForeignRule, other: ForeignRule) -> None:
        same = self._source.shape(rule.theirs) == self._source.shape(other.theirs)
        if not same or not np.array_equal(
            self._source.read(rule.theirs), self._source.read(other.theirs)
        ):
            raise ValueError(
                f"{self.path}: {other.theirs!r} and {rule.theirs!r} are one tensor of the model, "
                "and differ"
            )


class Joined:
    """Two sources as one; the path of the first stands for both."""

    def __init__(self, first: TensorSource, second: TensorSource):
        self.path = first.path
        self._source_of = {name: s for s in (first, second) for name in s.names}
        self.names = frozenset(self._source_of)

    def shape(self, name):
        return self._source_of[name].shape(name)

    def read(self, name):
        return self._source_of[name].read(name)


def to_foreign(
    rules: Iterable[ForeignRule],
    tensors: Mapping[str, np.ndarray],
    shapes: Mapping[str, tuple[int, ...]],
) -> dict[str, np.ndarray]:
    """Returns their names -> arrays, each source and each target used exactly once.

    Args:
      rules: expanded.
      tensors: Hugging Face's names -> arrays.
      shapes: their names -> the shapes they must have.

    Raises:
      ValueError: a tensor without a rule or without a place, a place without a tensor, or another
        number of values; all are listed.
    """
    rules = list(rules)
    unplaced = set(tensors) ^ {rule.huggingface for rule in rules}
    unfilled = set(shapes) ^ {rule.theirs for rule in rules}
    wrong: list[Any] = [
        rule.theirs
        for rule in rules
        if rule.huggingface in tensors
        and rule.theirs in shapes
        and rule.layout.shape(shapes[rule.theirs]) != tensors[rule.huggingface].shape
    ]
    if unplaced or unfilled or wrong:
        raise ValueError(
            "Each tensor must have one place in the other format. Without a counterpart: "
            f"{sorted(unplaced | unfilled)}. Of another shape: {wrong}"
        )
    return {
        rule.theirs: rule.layout.to_theirs(tensors[rule.huggingface], shapes[rule.theirs])
        for rule in rules
    }
