"""The table mechanism: by hand on arrays small enough to read."""

from __future__ import annotations

import types

import keras
import numpy as np
import pytest

from keras_bert_suite.checkpoints import rename
from keras_bert_suite.checkpoints.rename import SAME, TRANSPOSED, Rule


class _Source:
    """Tensors in memory; remembers what was read."""

    path = "model.safetensors"

    def __init__(self, tensors):
        self._tensors = {name: np.asarray(value) for name, value in tensors.items()}
        self.names = set(self._tensors)
        self.was_read = []

    def shape(self, name):
        return self._tensors[name].shape

    def read(self, name):
        self.was_read.append(name)
        return self._tensors[name]


def _dense(inputs, outputs):
    layer = keras.layers.Dense(outputs)
    layer.build((None, inputs))
    return layer


def _rules():
    return [Rule("root.kernel", ("q.weight", "k.weight"), TRANSPOSED), Rule("root.bias", ("b",))]


def test_transposed_parts_lie_side_by_side():
    query, key = np.array([[1, 2], [3, 4]]), np.array([[5, 6], [7, 8]])  # [outputs, inputs]
    ours = TRANSPOSED.to_ours([query, key])
    assert ours.tolist() == [[1, 3, 5, 7], [2, 4, 6, 8]]  # [inputs, query outputs | key outputs]
    parts = TRANSPOSED.to_theirs(ours, 2)
    assert [part.tolist() for part in parts] == [query.tolist(), key.tolist()]
    assert TRANSPOSED.their_shape((5, 6), 2) == (3, 5)


def test_parts_of_a_vector():
    ours = SAME.to_ours([np.array([1, 2]), np.array([3, 4])])
    assert ours.tolist() == [1, 2, 3, 4]
    assert [part.tolist() for part in SAME.to_theirs(ours, 2)] == [[1, 2], [3, 4]]
    assert SAME.their_shape((4,), 2) == (2,)


def test_written_arrays_are_contiguous():
    # safetensors writes the bytes from a pointer: a view would come out scrambled.
    ours = np.arange(24.0).reshape(4, 6)
    for transform in (SAME, TRANSPOSED):
        assert all(part.flags.c_contiguous for part in transform.to_theirs(ours, 3))


def test_expand_fills_in_the_layers():
    rules = [Rule("root.bias", ("b",)), Rule("blocks.{layer}.x", ("l.{layer}.q", "l.{layer}.k"))]
    assert rename.expand(rules, num_layers=2) == [
        Rule("root.bias", ("b",)),
        Rule("blocks.0.x", ("l.0.q", "l.0.k")),
        Rule("blocks.1.x", ("l.1.q", "l.1.k")),
    ]


def test_read_and_write_are_inverse():
    layer = _dense(2, 4)
    bindings = rename.bind(_rules(), {"root": layer})
    tensors = {
        "q.weight": np.float32([[1, 2], [3, 4]]),
        "k.weight": np.float32([[5, 6], [7, 8]]),
        "b": np.float32([9, 10, 11, 12]),
    }
    source = _Source(tensors)
    rename.check(bindings, source)
    assert source.was_read == []
    rename.read(bindings, source)
    assert sorted(source.was_read) == ["b", "k.weight", "q.weight"]
    assert layer.kernel.numpy().tolist() == [[1, 3, 5, 7], [2, 4, 6, 8]]
    written = rename.write(bindings)
    assert {name: value.tolist() for name, value in written.items()} == {
        name: value.tolist() for name, value in tensors.items()
    }


def test_read_casts_to_the_variable():
    layer = _dense(1, 1)
    rules = [Rule("root.kernel", ("w",), TRANSPOSED), Rule("root.bias", ("b",))]
    source = _Source({"w": np.float16([[1.5]]), "b": np.float64([2.5])})
    rename.read(rename.bind(rules, {"root": layer}), source)
    assert layer.kernel.numpy().tolist() == [[1.5]] and layer.bias.numpy().tolist() == [2.5]
    assert layer.kernel.dtype == "float32"


def test_a_variable_without_a_rule():
    with pytest.raises(ValueError, match=r"exactly once\. Without a rule: dense.*/bias\."):
        rename.bind(_rules()[:1], {"root": _dense(2, 4)})


def test_two_rules_for_a_variable():
    rules = [*_rules(), Rule("root.bias", ("c",))]
    with pytest.raises(ValueError, match="Used more than once: root.bias, root.bias"):
        rename.bind(rules, {"root": _dense(2, 4)})


def test_two_rules_for_a_tensor():
    rules = [Rule("root.kernel", ("b",)), Rule("root.bias", ("b",))]
    with pytest.raises(ValueError, match="Used more than once: b$"):
        rename.bind(rules, {"root": _dense(2, 4)})


def test_a_rule_for_something_else():
    rules = [*_rules(), Rule("other.bias", ("c",))]
    roots = {"root": _dense(2, 4), "other": types.SimpleNamespace(bias=object(), weights=[])}
    with pytest.raises(ValueError, match="Not a weight of the model: other.bias"):
        rename.bind(rules, roots)


@pytest.mark.parametrize("path", ["head.bias", "root.gamma", "root.blocks.3", "root.kernel.7.x"])
def test_a_path_that_does_not_exist(path):
    with pytest.raises(ValueError, match=f"The model has no '{path}'"):
        rename.resolve({"root": types.SimpleNamespace(kernel=[], blocks=[1])}, path)


def test_missing_and_leftover_tensors_are_all_listed():
    bindings = rename.bind(_rules(), {"root": _dense(2, 4)})
    source = _Source({"q.weight": np.zeros([2, 2]), "z": 0, "y": 0, "known": 0})
    with pytest.raises(ValueError) as error:
        rename.check(bindings, source, aside={"known"})
    assert str(error.value) == (
        "model.safetensors: its tensors must be those of the model that config.json describes. "
        "Missing: b, k.weight. Not in the model: y, z"
    )


def test_many_leftovers_are_counted():
    names = [f"t{i}" for i in range(11)]
    assert rename.listed(names) == "t0, t1, t2, t3, t4, t5, t6, t7 and 3 more"
    assert rename.listed([]) == "none"


def test_a_wrong_shape():
    bindings = rename.bind(_rules(), {"root": _dense(2, 4)})
    source = _Source({"q.weight": np.zeros([2, 2]), "k.weight": np.zeros([2, 3]), "b": np.zeros(4)})
    with pytest.raises(ValueError) as error:
        rename.check(bindings, source)
    assert str(error.value) == (
        "model.safetensors: tensor 'k.weight' must have the shape [2, 2] by config.json. "
        "Found: [2, 3]"
    )


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_values_must_be_finite(bad):
    source = _Source({"w": np.float32([1, bad, 3, bad])})
    with pytest.raises(ValueError, match=r"tensor 'w' must be finite\. 2 of its 4 values are NaN"):
        rename.read_finite(source, "w")


def test_a_sum_that_overflows_is_no_error():
    largest = np.finfo(np.float32).max
    source = _Source({"w": np.float32([largest, largest])})
    assert rename.read_finite(source, "w").tolist() == [largest, largest]


def test_tied_tensors_must_be_equal():
    ties = {"decoder": "table"}
    rename.check_tied(_Source({"decoder": [1.0, 2.0], "table": [1.0, 2.0]}), ties)
    rename.check_tied(_Source({"table": [1.0, 2.0]}), ties)
    for decoder in ([1.0, 3.0], [1.0, 2.0, 3.0]):
        with pytest.raises(ValueError, match="tensor 'decoder' must equal 'table'.*untied weights"):
            rename.check_tied(_Source({"decoder": decoder, "table": [1.0, 2.0]}), ties)
