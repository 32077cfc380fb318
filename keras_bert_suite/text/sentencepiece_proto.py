"""The messages of a SentencePiece model file, as far as this package reads and writes them."""

from __future__ import annotations

import functools
from typing import Any

# Numbers of the fields, of the label `repeated` and of the types, in protobuf's own numbering.
_REPEATED = 3
_FLOAT, _INT32, _BOOL, _STRING, _MESSAGE, _BYTES = 2, 5, 8, 9, 11, 12
# Message -> field -> (number, type). Source: google/sentencepiece, src/sentencepiece_model.proto.
# Enumerations are read as the integers that they are on the wire.
_MESSAGES: dict[str, dict[str, tuple[int, int | str]]] = {
    "Piece": {"piece": (1, _STRING), "score": (2, _FLOAT), "type": (3, _INT32)},
    "TrainerSpec": {
        "model_type": (3, _INT32),
        "vocab_size": (4, _INT32),
        "unk_id": (40, _INT32),
        "bos_id": (41, _INT32),
        "eos_id": (42, _INT32),
        "pad_id": (43, _INT32),
    },
    "NormalizerSpec": {
        "name": (1, _STRING),
        "precompiled_charsmap": (2, _BYTES),
        "add_dummy_prefix": (3, _BOOL),
        "remove_extra_whitespaces": (4, _BOOL),
        "escape_whitespaces": (5, _BOOL),
    },
    "Model": {
        "pieces": (1, "Piece"),
        "trainer_spec": (2, "TrainerSpec"),
        "normalizer_spec": (3, "NormalizerSpec"),
    },
}

# ModelProto.SentencePiece.Type and TrainerSpec.ModelType; a field that is absent has the first.
NORMAL, UNKNOWN, CONTROL = 1, 2, 3
UNIGRAM, BPE = 1, 2


@functools.cache
def model_class() -> type[Any]:
    """The class of a whole model; what it has no field for survives reading and writing.

    The description is ours because the one in the `sentencepiece` package is generated code that
    fits some releases of protobuf only.
    """
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

    file = descriptor_pb2.FileDescriptorProto(
        name="sentencepiece_file.proto", package="kbs", syntax="proto2"
    )
    for name, fields in _MESSAGES.items():
        message = file.message_type.add(name=name)
        for field, (number, kind) in fields.items():
            described = message.field.add(name=field, number=number, label=1)
            if isinstance(kind, str):
                described.type, described.type_name = _MESSAGE, f".kbs.{kind}"
            else:
                described.type = kind
            if field == "pieces":
                described.label = _REPEATED
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("kbs.Model"))
