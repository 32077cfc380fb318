"""The same bytes for the same model: what TensorFlow draws or counts is taken out of a SavedModel.

tf.saved_model.save numbers functions by a counter of the process, lists them in the order of a hash
table, and puts a random number into fingerprint.pb.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path

_COUNTED = re.compile(r"(.*?)_*(\d+)")
_COUNTED_ARGUMENT = re.compile(r"(.*?)_+(\d+)((?:_\d+)?)")
# Attributes with a counted value: which variable, which gradient (of no use in serving), which
# variable an argument stands for.
_COUNTED_ATTRIBUTES = {
    "_user_specified_name": re.compile(rb"()(\d+)"),
    "shared_name": re.compile(rb"()(\d+)"),
    "_gradient_op_type": re.compile(rb"(CustomGradient-)(\d+)"),
}


def make_canonical(saved_model_dir: Path) -> None:
    """Rewrites saved_model.pb and fingerprint.pb, which do not depend on the process any more."""
    from tensorflow.core.protobuf import saved_model_pb2

    file = saved_model_dir / "saved_model.pb"
    saved_model = saved_model_pb2.SavedModel.FromString(file.read_bytes())
    for meta_graph in saved_model.meta_graphs:
        _number_attributes(meta_graph.graph_def)
        library = meta_graph.graph_def.library
        _rename(meta_graph, _numbered(f.signature.name for f in library.function))
        for function in library.function:
            _number_arguments(function)
        functions = sorted(library.function, key=lambda function: function.signature.name)
        del library.function[:]
        library.function.extend(functions)
    file.write_bytes(saved_model.SerializeToString(deterministic=True))
    _write_fingerprint(saved_model_dir)


def _number_attributes(graph) -> None:
    """Counts the values of `_COUNTED_ATTRIBUTES` from 0, equal ones alike."""
    functions = graph.library.function
    nodes = [*graph.node, *(node for f in functions for node in f.node_def)]
    nodes += [argument for f in functions for argument in f.arg_attr.values()]
    for name, pattern in _COUNTED_ATTRIBUTES.items():
        found = [
            (int(match[2]), match[1], node.attr[name])
            for node in nodes
            if name in node.attr and (match := pattern.fullmatch(node.attr[name].s))
        ]
        places = {number: place for place, number in enumerate(sorted({each[0] for each in found}))}
        for number, beginning, value in found:
            value.s = beginning + str(places[number]).encode()


def _numbered(names: Iterable[str]) -> dict[str, str]:
    """Function names -> names that are numbered through, in the order of their beginnings.

    TensorFlow's fingerprint sorts functions by their numbers, which must differ.
    """
    found = filter(None, map(_COUNTED.fullmatch, names))
    counted = sorted((match[1], int(match[2]), match[0]) for match in found)
    return {
        # Two underscores: no name that TensorFlow makes ends so, and none is met by chance.
        name: f"{beginning}__{index}"
        for index, (beginning, _, name) in enumerate(counted)
    }


def _number_arguments(function) -> None:
    """Counts those arguments and results that are named after a counter of the process.

    Only the function itself knows these names: callers go by the order.
    """
    arguments = [*function.signature.input_arg, *function.signature.output_arg]
    groups: dict[str, list[tuple[int, str, str]]] = {}
    for name in {each.name for each in arguments}:
        if match := _COUNTED_ARGUMENT.fullmatch(name):
            groups.setdefault(match[1], []).append((int(match[2]), match[3], name))
    new = {
        name: f"{beginning}__{index}{rest}"
        for beginning, group in groups.items()
        for index, (_, rest, name) in enumerate(sorted(group))
    }
    for each in arguments:
        each.name = new.get(each.name, each.name)
    for node in function.node_def:
        node.input[:] = [_reference(text, new) for text in node.input]
    results = {new.get(key, key): _reference(text, new) for key, text in function.ret.items()}
    function.ret.clear()
    function.ret.update(results)


def _reference(text: str, new: Mapping[str, str]) -> str:
    """An input of a node, "name" or "name:output:index", after a renaming."""
    name, colon, rest = text.partition(":")
    return new.get(name, name) + colon + rest


def _rename(message, names: Mapping[str, str]) -> None:
    """Puts new names in the place of old ones, in all texts of a message and in parts of them.

    Arguments of a function that is a loop's body are named after it, in lower case.
    """
    if not names:
        return
    everywhere = {**{old.lower(): new.lower() for old, new in names.items()}, **names}
    longest_first = sorted(everywhere, key=len, reverse=True)
    pattern = re.compile(f"(?:{'|'.join(map(re.escape, longest_first))})(?![0-9])")
    _visit(message, lambda text: pattern.sub(lambda match: everywhere[match[0]], text))


def _visit(message, change) -> None:
    for field, value in message.ListFields():
        if field.message_type is not None and field.message_type.GetOptions().map_entry:
            _visit_map(field, value, change)
        elif field.message_type is not None:
            for each in value if field.is_repeated else [value]:
                _visit(each, change)
        elif field.type != field.TYPE_STRING:
            continue
        elif field.is_repeated:
            value[:] = [change(text) for text in value]
        else:
            setattr(message, field.name, change(value))


def _visit_map(field, entries, change) -> None:
    messages = field.message_type.fields_by_name["value"].message_type is not None
    for key in list(entries):
        if messages:
            _visit(entries[key], change)
        new = change(key) if isinstance(key, str) else key
        if new != key:
            if messages:
                entries[new].CopyFrom(entries[key])
            else:
                entries[new] = entries[key]
            del entries[key]


def _write_fingerprint(saved_model_dir: Path) -> None:
    from tensorflow.core.protobuf import fingerprint_pb2
    from tensorflow.python.saved_model.pywrap_saved_model import fingerprinting

    fingerprint = fingerprint_pb2.FingerprintDef.FromString(
        fingerprinting.CreateFingerprintDef(str(saved_model_dir))
    )
    # Random as TensorFlow makes it; as good an identity of what has equal bytes.
    fingerprint.uuid = str(fingerprint.saved_model_checksum << 64 | fingerprint.checkpoint_hash)
    (saved_model_dir / "fingerprint.pb").write_bytes(
        fingerprint.SerializeToString(deterministic=True)
    )
