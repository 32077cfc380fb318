"""Byte-level BPE as a SentencePiece model, which tensorflow-text runs inside the graph."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from keras_bert_suite.text import sentencepiece_proto

# The bytes that stand for themselves in a byte-level vocabulary; the others are shifted to U+0100
# and on, in their order. Source: openai/gpt-2, src/encoder.py, bytes_to_unicode.
_PRINTABLE = (*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100))
_SHIFTED = [byte for byte in range(256) if byte not in _PRINTABLE]
CHARACTERS = [byte if byte in _PRINTABLE else 0x100 + _SHIFTED.index(byte) for byte in range(256)]
"""The code point that stands for each byte."""
SPACE = chr(CHARACTERS[0x20])

Merges = Sequence[tuple[str, str]]


def check_merges(vocabulary: Sequence[str], merges: Merges) -> None:
    """Raises ValueError unless the parts and the result of every merge are in the vocabulary."""
    known = set(vocabulary)
    for number, (left, right) in enumerate(merges, 1):
        for piece in (left, right, left + right):
            if piece not in known:
                raise ValueError(
                    "The parts and the result of a merge must be in the vocabulary. Got as merge "
                    f"{number}: {left!r} and {right!r}, and {piece!r} is not there. The two files "
                    "are not of one tokenizer, or one is damaged: fetch them again."
                )


def missing_bytes(vocabulary: Sequence[str]) -> list[str]:
    """The characters of bytes that the vocabulary lacks; no tokenizer can give them an id."""
    known = set(vocabulary)
    return [chr(code) for code in CHARACTERS if chr(code) not in known]


def serialized(
    vocabulary: Sequence[str], merges: Merges, *, special: Sequence[str], unknown: str
) -> bytes:
    """A SentencePiece model of type BPE that gives a word the pieces that the merges give it.

    SentencePiece joins whichever neighbours make the piece of the best score; BPE joins the pair
    whose merge comes first. The two are equal when each piece scores as the merge that completes
    it: two neighbours that make piece t can only arise as the last two parts of t alone, for no
    merge has crossed the ends of t yet, and those inside come in the same order whatever stands
    around. So BPE is run on every entry by itself, and the merge that completes it gives its score.
    Entries that it does not make in one piece arise nowhere, and neither do special tokens.

    Args:
      vocabulary: entries in the order of their ids, bytes written as `CHARACTERS`.
      merges: pairs in the order of their rank.
      special: entries that no text can give.
      unknown: one of them, for what the model lacks.

    Returns:
      The serialized model. Its ids are those of the vocabulary; those beyond are `missing_bytes`.
    """
    ranks = {pair: rank for rank, pair in enumerate(merges)}
    model = sentencepiece_proto.model_class()()
    single = {chr(code) for code in CHARACTERS}
    for token in [*vocabulary, *missing_bytes(vocabulary)]:
        piece = model.pieces.add(piece=token, score=0.0, type=sentencepiece_proto.CONTROL)
        if token == unknown:
            piece.type = sentencepiece_proto.UNKNOWN
        elif token in single and token not in special:
            piece.type = sentencepiece_proto.NORMAL
        elif token not in special:
            last = _completing_merge(token, ranks)
            if last is not None:
                piece.type, piece.score = sentencepiece_proto.NORMAL, -1.0 - last
    trainer = model.trainer_spec
    trainer.model_type = sentencepiece_proto.BPE
    trainer.unk_id = list(vocabulary).index(unknown)
    trainer.bos_id = trainer.eos_id = trainer.pad_id = -1
    # Text comes as words, byte by byte: nothing is left to normalise.
    normalizer = model.normalizer_spec
    normalizer.name = "identity"
    normalizer.precompiled_charsmap = _NO_RULES
    normalizer.add_dummy_prefix = False
    normalizer.remove_extra_whitespaces = False
    normalizer.escape_whitespaces = False
    return model.SerializeToString(deterministic=True)


# Without any rules SentencePiece writes a line about it to the standard error for every model. A
# trie of 1024 zero bytes has none either: no label in it equals a byte.
_NO_RULES = struct.pack("<I", 1024) + bytes(1024) + b"\0"


def _completing_merge(token: str, ranks: Mapping[tuple[str, str], int]) -> int | None:
    """Rank of the merge that makes `token` when BPE runs on it alone; None if none does."""
    parts = list(token)
    last = None
    while len(parts) > 1:
        found = [
            (ranks[pair], place)
            for place, pair in enumerate(zip(parts, parts[1:], strict=False))
            if pair in ranks
        ]
        if not found:
            return None
        last, place = min(found)
        parts[place : place + 2] = [parts[place] + parts[place + 1]]
    return last
