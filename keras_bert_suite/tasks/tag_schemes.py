"""How tags mark entities: found out from a training file, and what is repaired in it.

BIO     B- begins an entity, I- goes on with it, O is outside (IOB2)
IOB1    as BIO, but B- stands only between two entities of one type; learnt as BIO
IOBES   BIO with E- for an entity's last word and S- for an entity of one word
BMES    IOBES with M- in place of I-; learnt as IOBES
BILOU   the same with L- and U-
plain   tags without parts (parts of speech)
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence

from keras_bert_suite.evaluation.entities import Entity, entities, split_tag
from keras_bert_suite.tasks import label_names

PLAIN = "plain"
_ENDS = {"BIO": ("I", "B"), "IOBES": ("E", "S"), "BILOU": ("L", "U")}  # (last word, only word)
SCHEMES = (*_ENDS, PLAIN)


@dataclasses.dataclass(frozen=True)
class Detected:
    """What the tags of a training file are.

    Attributes:
      scheme: one of SCHEMES; IOB1 is learnt as BIO, BMES as IOBES.
      source: how the file wrote it; "IOB1", "BMES" or the scheme's own name.
    """

    scheme: str
    source: str


def detect(sentences: Iterable[Sequence[str]]) -> Detected:
    """Finds the scheme of a training file from all its tags.

    Tags are plain unless every one is O or an entity's. In IOB1 entities begin with I-, and B- does
    so only right behind one of the same type; anything else with I- at the beginning is BIO, broken
    there.
    """
    sentences = list(sentences)
    parts = {split_tag(tag) for tags in sentences for tag in set(tags) - {"O"}}
    prefixes = {prefix for prefix, _ in parts}
    if not parts or "O" in prefixes or not (prefixes <= set("BIESLU") or prefixes <= set("BMES")):
        return Detected(PLAIN, PLAIN)
    # Without types the letters could be anything: B, I and O alone are taken for entities.
    if any(not kind for _, kind in parts) and not prefixes <= set("BI"):
        return Detected(PLAIN, PLAIN)
    if prefixes & set("LU"):
        return Detected("BILOU", "BILOU")
    if "M" in prefixes:
        return Detected("IOBES", "BMES")
    if prefixes & set("ES"):
        return Detected("IOBES", "IOBES")
    return Detected("BIO", "IOB1" if _is_iob1(sentences) else "BIO")


def _is_iob1(sentences: Iterable[Sequence[str]]) -> bool:
    begins_with_i = False
    for tags in sentences:
        before = ("O", "")
        for tag in tags:
            prefix, kind = split_tag(tag)
            between = before[0] != "O" and before[1] == kind
            if prefix == "B" and not between:
                return False
            begins_with_i |= prefix == "I" and not between
            before = (prefix, kind)
    return begins_with_i


def repaired(tags: Sequence[str], scheme: str) -> tuple[str, ...]:
    """The tags of one sentence with their entities, as conlleval reads them, written in a scheme.

    Right tags come back as they were. Plain tags are never changed.
    """
    if scheme == PLAIN:
        return tuple(tags)
    written = ["O"] * len(tags)
    for entity in entities(tags):
        for place in range(entity.start, entity.end):
            written[place] = _tag(_prefix(entity, place, scheme), entity.type)
    return tuple(written)


def all_tags(tags: Iterable[str], scheme: str) -> tuple[str, ...]:
    """Every tag to choose from, O first: where there is one tag of a type, there are all."""
    tags = set(tags)
    if scheme == PLAIN:
        return label_names.in_order(tags)
    prefixes = ("B", "I", *(end for end in _ENDS[scheme] if scheme != "BIO"))
    kinds = sorted({split_tag(tag)[1] for tag in tags if split_tag(tag)[0] != "O"})
    return ("O", *(_tag(prefix, kind) for kind in kinds for prefix in prefixes))


def continuation(tag: str, scheme: str) -> str:
    """The tag of a word's second and later pieces: I- of its type; a plain tag stays."""
    prefix, kind = split_tag(tag)
    return tag if scheme == PLAIN or prefix == "O" else _tag("I", kind)


def _prefix(entity: Entity, place: int, scheme: str) -> str:
    last, only = _ENDS[scheme]
    if entity.end - entity.start == 1:
        return only
    if place == entity.start:
        return "B"
    return last if place == entity.end - 1 else "I"


def _tag(prefix: str, kind: str) -> str:
    return f"{prefix}-{kind}" if kind else prefix
