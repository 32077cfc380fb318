"""Reads the pickles in which PyTorch describes tensors, without the power to run anything.

A pickle is a program. Python's unpickler imports and calls what it names; this one knows the few
operations that a state_dict needs and turns each tensor into a description of where its numbers
lie. A name outside the list below is refused, and nothing that a pickle says is ever called.

Source: `pickletools` (the operations) and torch/_utils.py, torch/serialization.py (the names).
"""

from __future__ import annotations

import dataclasses
import pickletools
from typing import Any

import ml_dtypes
import numpy as np

# Of these the first makes an empty dict, a storage is a dtype, the others describe a tensor.
_ORDERED_DICT = "collections OrderedDict"
_STORAGE_DTYPES = {
    "FloatStorage": np.float32,
    "DoubleStorage": np.float64,
    "HalfStorage": np.float16,
    "BFloat16Storage": ml_dtypes.bfloat16,
    "LongStorage": np.int64,
    "IntStorage": np.int32,
    "ShortStorage": np.int16,
    "CharStorage": np.int8,
    "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}
_STORAGES = {f"torch {name}": np.dtype(dtype) for name, dtype in _STORAGE_DTYPES.items()}
_STORAGES |= {f"torch.storage {name}": np.dtype(t) for name, t in _STORAGE_DTYPES.items()}
_REBUILD_TENSOR = ("torch._utils _rebuild_tensor", "torch._utils _rebuild_tensor_v2")
_REBUILD_PARAMETER = "torch._utils _rebuild_parameter"
_SIZE = "torch Size"
_KNOWN = {_ORDERED_DICT, _REBUILD_PARAMETER, _SIZE, *_REBUILD_TENSOR, *_STORAGES}

_CONSTANTS = {"NONE": None, "NEWTRUE": True, "NEWFALSE": False}
_LITERALS = (
    "BININT BININT1 BININT2 LONG1 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 "
    "SHORT_BINBYTES BINBYTES SHORT_BINSTRING BINSTRING INT LONG FLOAT UNICODE"
).split()
_EMPTY = {"EMPTY_DICT": dict, "EMPTY_LIST": list, "EMPTY_TUPLE": tuple}
_TUPLES = {"TUPLE1": 1, "TUPLE2": 2, "TUPLE3": 3}
_PUTS, _GETS = ("BINPUT", "LONG_BINPUT", "PUT"), ("BINGET", "LONG_BINGET", "GET")
_NOTHING = ("PROTO", "FRAME", "STOP")


@dataclasses.dataclass(frozen=True)
class Storage:
    """A run of numbers in the file: its key, their dtype and count."""

    key: str
    dtype: np.dtype
    count: int


@dataclasses.dataclass(frozen=True)
class TensorView:
    """A tensor as a view of a storage; `offset` and `strides` count elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


@dataclasses.dataclass(frozen=True)
class _Global:
    """A name of the list above, not imported."""

    name: str


class _Mark:
    """Where a list, tuple or dict on the stack begins."""


def read_pickle(file: Any) -> Any:
    """Returns the object of the pickle at the file's position: plain values, Storage, TensorView.

    Args:
      file: an object with `read(n)` and `readline()` that give no more than there is.

    Raises:
      ValueError: the pickle is damaged, or names or does something that no tensor needs.
    """
    machine = _Machine()
    try:
        for operation, argument, _ in pickletools.genops(file):
            machine.step(operation.name, argument)
        (result,) = machine.stack
        return result
    except (IndexError, KeyError, TypeError, AttributeError, OverflowError) as error:
        raise ValueError(f"the pickle is damaged ({error!r})") from error


class _Machine:
    """The stack and the memo of one pickle."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carries out one operation."""
        if name in _LITERALS:
            self.stack.append(argument)
        elif name in _CONSTANTS:
            self.stack.append(_CONSTANTS[name])
        elif name in _EMPTY:
            self.stack.append(_EMPTY[name]())
        elif name in _PUTS or name == "MEMOIZE":
            index = len(self._memo) if name == "MEMOIZE" else int(argument)
            self._memo[index] = self.stack[-1]
        elif name in _GETS:
            self.stack.append(self._memo[int(argument)])
        elif name == "MARK":
            self.stack.append(_Mark())
        elif name in _TUPLES:
            self._push_tuple(self._pop(_TUPLES[name]))
        elif name == "TUPLE":
            self._push_tuple(self._pop_to_mark())
        elif name == "LIST":
            self.stack.append(self._pop_to_mark())
        elif name == "DICT":
            values = self._pop_to_mark()
            self.stack.append({})
            self._set_items(values)
        elif name in ("GLOBAL", "STACK_GLOBAL"):
            found = argument if name == "GLOBAL" else " ".join(map(str, self._pop(2)))
            self.stack.append(_known(found))
        elif name in ("SETITEM", "SETITEMS"):
            self._set_items(self._pop(2) if name == "SETITEM" else self._pop_to_mark())
        elif name in ("APPEND", "APPENDS"):
            values = self._pop(1) if name == "APPEND" else self._pop_to_mark()
            self._expect(list).extend(values)
        elif name == "BINPERSID":
            self.stack.append(_storage(self._pop(1)[0]))
        elif name == "REDUCE":
            function, arguments = self._pop(2)
            self.stack.append(_rebuild(function, arguments))
        elif name == "BUILD":
            # torch.nn.Module.state_dict hangs its `_metadata` on the dict.
            self._pop(1)
            self._expect(dict)
        elif name == "INST":
            raise _refusal(argument)
        elif name not in _NOTHING:
            raise ValueError(
                f"the pickle uses the operation {name}, which no tensor needs; it is refused. "
                "Nothing was run"
            )

    def _pop(self, count: int) -> list[Any]:
        values = [self.stack.pop() for _ in range(count)]
        if any(isinstance(value, _Mark) for value in values):
            raise IndexError("a mark where a value belongs")
        return values[::-1]

    def _pop_to_mark(self) -> list[Any]:
        values = []
        while not isinstance(value := self.stack.pop(), _Mark):
            values.append(value)
        return values[::-1]

    def _push_tuple(self, values: list[Any]) -> None:
        self.stack.append(tuple(values))

    def _expect(self, kind: type) -> Any:
        if type(self.stack[-1]) is not kind:
            raise TypeError(f"{type(self.stack[-1]).__name__} where {kind.__name__} belongs")
        return self.stack[-1]

    def _set_items(self, values: list[Any]) -> None:
        target = self._expect(dict)
        for key, value in zip(values[::2], values[1::2], strict=True):
            # A tensor's name, or a number in torch's own dictionaries; a hash of anything deeper
            # could exhaust the stack.
            if not isinstance(key, str | int):
                raise TypeError(f"a key that is a {type(key).__name__}")
            if key in target:
                raise ValueError(f"the pickle names {key!r} more than once")
            target[key] = value


def _known(name: str) -> _Global:
    if name not in _KNOWN:
        raise _refusal(name)
    return _Global(name)


def _refusal(name: str) -> ValueError:
    dotted = ".".join(str(name).split(" ", 1))
    return ValueError(
        f"the pickle names {dotted[:200]!r}, which is not needed to build tensors; it is refused, "
        "and nothing was run. Save the weights alone (model.state_dict()), best as safetensors"
    )


def _storage(identity: Any) -> Storage:
    """What a persistent id says: ("storage", type, key, device, count, [view, always None])."""
    if type(identity) is not tuple or len(identity) not in (5, 6) or identity[0] != "storage":
        raise TypeError("a persistent id that is no storage")
    _, kind, key, _, count, *view = identity
    if view not in ([], [None]):
        raise ValueError("storages that are views of others are not read; save the model again")
    if not isinstance(kind, _Global) or kind.name not in _STORAGES:
        raise TypeError("a storage without a dtype")
    if not isinstance(key, str) or not _is_count(count):
        raise TypeError("a storage without a key or a count")
    return Storage(key, _STORAGES[kind.name], count)


def _rebuild(function: Any, arguments: Any) -> Any:
    if not isinstance(function, _Global) or type(arguments) is not tuple:
        raise TypeError("a call of something that is no name")
    if function.name == _ORDERED_DICT:
        if arguments not in ((), ([],)):
            raise TypeError("an OrderedDict that is made of something")
        return {}
    if function.name == _SIZE:
        (sizes,) = arguments
        return tuple(sizes)
    if function.name == _REBUILD_PARAMETER:
        if not isinstance(arguments[0], TensorView):
            raise TypeError("a parameter that is no tensor")
        return arguments[0]
    if function.name in _REBUILD_TENSOR:
        return _tensor(*arguments[:4])
    raise TypeError(f"a call of {function.name}")


def _tensor(storage: Any, offset: Any, shape: Any, strides: Any) -> TensorView:
    """Checks that the view stays inside its storage and is no larger than it."""
    shape, strides = tuple(shape), tuple(strides)
    if (
        not isinstance(storage, Storage)
        or not all(map(_is_count, (offset, *shape, *strides)))
        or len(shape) != len(strides)
        or len(shape) > 8
    ):
        raise TypeError("a tensor without storage, shape or strides")
    if 0 in shape:
        return TensorView(storage, offset, shape, strides)
    # Along the strides from the smallest on, each step must lead past all that came before: a
    # tensor whose elements coincide is no weight, and could claim any size.
    reach = 0
    for stride, length in sorted(zip(strides, shape, strict=True)):
        if length > 1 and stride <= reach:
            raise ValueError(f"a tensor of the shape {list(shape)} has the strides {list(strides)}")
        reach += (length - 1) * stride
    if offset + reach >= storage.count:
        raise ValueError(
            f"a tensor of the shape {list(shape)} reaches beyond its {storage.count} stored numbers"
        )
    return TensorView(storage, offset, shape, strides)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 <= value < 2**62
