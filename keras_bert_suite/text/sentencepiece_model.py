"""SentencePiece models: reading, checking, making one from a tokenizer.json."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from keras_bert_suite.text import sentencepiece_proto
from keras_bert_suite.text.sentencepiece_proto import CONTROL, UNKNOWN

WORD_MARK = "\u2581"
# ALBERT wants "9," in two pieces. Hugging Face's way to get them; no piece of a trained model
# scores so low (a score is a natural logarithm of a probability).
_NEVER_TAKEN = -100.0


def parse(data: bytes, *, source: str) -> Any:
    """The ModelProto in a spiece.model.

    Raises:
      ValueError: no such model, cut off, or of another type than unigram.
    """
    from google.protobuf.message import DecodeError

    model = sentencepiece_proto.model_class()()
    try:
        model.ParseFromString(data)
    except DecodeError:
        model.Clear()
    if not (model.pieces and model.HasField("trainer_spec") and model.HasField("normalizer_spec")):
        raise ValueError(f"{source} is no SentencePiece model, or it is cut off. Fetch it again.")
    kind = model.trainer_spec.model_type or sentencepiece_proto.UNIGRAM
    if kind != sentencepiece_proto.UNIGRAM:
        raise ValueError(
            f"ALBERT's SentencePiece model is a unigram model. Got in {source}: type {kind}"
        )
    _check(model, source=source)
    return model


def assemble(
    pieces: Sequence[tuple[str, float]],
    *,
    unknown_id: int,
    special: Collection[str],
    rules: bytes,
    source: str,
) -> Any:
    """A ModelProto of pieces and scores, as a tokenizer.json has them.

    Args:
      pieces: (piece, score) in the order of their ids.
      unknown_id: id of the unknown piece.
      special: pieces that no text can give.
      rules: precompiled character map of the normaliser; may be empty.
      source: what the messages call it.
    """
    model = sentencepiece_proto.model_class()()
    for index, (text, score) in enumerate(pieces):
        piece = model.pieces.add(piece=text, score=score)
        if index == unknown_id:
            piece.type = UNKNOWN
        elif text in special:
            piece.type = CONTROL
    trainer, normalizer = model.trainer_spec, model.normalizer_spec
    trainer.model_type = sentencepiece_proto.UNIGRAM
    trainer.vocab_size = len(pieces)
    trainer.unk_id = unknown_id
    trainer.bos_id = trainer.eos_id = trainer.pad_id = -1
    normalizer.name = "user_defined"
    normalizer.precompiled_charsmap = rules
    _check(model, source=source)
    return model


def serialized(model: Any, *, special: Collection[str]) -> bytes:
    """The model as ALBERT uses it.

    Pieces of a digit and a comma are never taken, special tokens cannot be written in a text, words
    begin with `WORD_MARK`, white space counts once.
    """
    adapted = type(model)()
    adapted.CopyFrom(model)
    for piece in adapted.pieces:
        if piece.piece in special and piece.type != UNKNOWN:
            piece.type = CONTROL
        text = piece.piece
        if len(text) > 1 and text[-1] == "," and text[-2].isdigit() and piece.score > _NEVER_TAKEN:
            piece.score += _NEVER_TAKEN
    normalizer = adapted.normalizer_spec
    normalizer.add_dummy_prefix = True
    normalizer.remove_extra_whitespaces = True
    normalizer.escape_whitespaces = True
    return adapted.SerializeToString(deterministic=True)


def _check(model: Any, *, source: str) -> None:
    """Raises ValueError for what SentencePiece would refuse, or would trust and crash over."""
    seen: set[str] = set()
    for index, piece in enumerate(model.pieces):
        problem = ""
        if not isinstance(piece.piece, str):  # protobuf gives bytes then
            problem = "is not UTF-8"
        elif not piece.piece or "\0" in piece.piece:
            problem = "is empty or has a NUL"
        elif piece.piece in seen:
            problem = "is there twice"
        elif not math.isfinite(piece.score):
            problem = f"has the score {piece.score}"
        if problem:
            raise ValueError(
                f"{source} is damaged: piece {index}, {piece.piece!r}, {problem}. Fetch it again."
            )
        seen.add(piece.piece)
    unknown = [i for i, piece in enumerate(model.pieces) if piece.type == UNKNOWN]
    if len(unknown) != 1:
        raise ValueError(
            f"{source} is damaged: a SentencePiece model has one unknown piece. Got: {unknown}"
        )
    _check_rules(model.normalizer_spec.precompiled_charsmap, source=source)


def _check_rules(rules: bytes, *, source: str) -> None:
    """Raises ValueError unless the double array of a character map stays within itself.

    Source: sentencepiece, src/normalizer.cc, DecodePrecompiledCharsMap; Darts-clone's unit: bit 31
    marks a leaf, whose other bits are its value; else bits 10-30 are an offset, by 8 bits more when
    bit 9 is set.
    """
    if not rules:
        return
    size = int.from_bytes(rules[:4], "little")
    replacements = rules[4 + size :]
    good = len(rules) > 4 and 0 < size and size % 1024 == 0 and replacements.endswith(b"\0")
    if good:
        units = np.frombuffer(rules, "<u4", count=size // 4, offset=4).astype(np.int64)
        is_leaf = units >> 31 == 1
        values = units[is_leaf] & 0x7FFFFFFF
        offsets = (units >> 10) << ((units & (1 << 9)) >> 6)
        reached = (np.arange(len(units)) ^ offsets)[~is_leaf] | 0xFF
        good = bool((values < len(replacements)).all() and (reached < len(units)).all())
    if not good:
        raise ValueError(
            f"{source} is damaged: its normalisation rules are not whole. Fetch it again."
        )
