"""Scores of tag sequences as conlleval gives them: entities (chunks) found whole, and tags.

Source: E. F. Tjong Kim Sang, conlleval.pl (CoNLL-2000 to 2003). Where that script knows BIO and IOE
alone, the tags that end or are an entity by themselves (E-, L-, S-, U-) are read as IOBES and BILOU
mean them.
"""

from __future__ import annotations

import collections
import dataclasses
import re
from collections.abc import Mapping, Sequence
from typing import NamedTuple

_TAG = re.compile(r"([^-]*)-(.*)", re.DOTALL)
_BEGIN, _END = frozenset("BSU"), frozenset("ELSU")
_INSIDE = _BEGIN | _END | {"I"}


class Entity(NamedTuple):
    """The words [start, end) of a sentence, and what they are."""

    start: int
    end: int
    type: str


@dataclasses.dataclass(frozen=True)
class Counts:
    """Entities of one type, or of all.

    Attributes:
      gold, found, correct: entities in the gold tags, in the predicted tags, and in both.
    """

    gold: int
    found: int
    correct: int

    @property
    def precision(self) -> float:
        """Share of the entities found that are correct; 0 where none was found."""
        return self.correct / self.found if self.found else 0.0

    @property
    def recall(self) -> float:
        """Share of the gold entities that were found; 0 where there are none."""
        return self.correct / self.gold if self.gold else 0.0

    @property
    def f1(self) -> float:
        """The harmonic mean of precision and recall."""
        return 2 * self.correct / (self.gold + self.found) if self.correct else 0.0


@dataclasses.dataclass(frozen=True)
class EntityScores:
    """What conlleval prints.

    Attributes:
      num_tokens, num_correct_tags: words, and those whose predicted tag is the gold tag.
      overall: all entities.
      types: type -> its entities, sorted; every type that is in the gold or the predicted tags.
    """

    num_tokens: int
    num_correct_tags: int
    overall: Counts
    types: Mapping[str, Counts]

    @property
    def accuracy(self) -> float:
        """Share of the words with the right tag."""
        return self.num_correct_tags / self.num_tokens


def split_tag(tag: str) -> tuple[str, str]:
    """(prefix, type) of a tag: ("B", "creative-work"); ("O", "") outside of entities."""
    match = _TAG.fullmatch(tag)
    prefix, kind = (match[1], match[2]) if match else (tag, "")
    return (prefix, kind) if kind or prefix in _INSIDE else ("O", "")


def entities(tags: Sequence[str]) -> list[Entity]:
    """The entities of one sentence, in their order, as conlleval reads tags of any scheme.

    An entity ends where its type changes, before a tag that begins one (B, S, U) and behind a tag
    that ends one (E, L, S, U). One that begins with I counts all the same.
    """
    found: list[Entity] = []
    start, before, kind_before = 0, "O", ""
    for place, tag in enumerate([*tags, "O"]):
        prefix, kind = split_tag(tag)
        goes_on = kind == kind_before and prefix not in _BEGIN and before not in _END
        if before != "O" and (prefix == "O" or not goes_on):
            found.append(Entity(start, place, kind_before))
        if prefix != "O" and (before == "O" or not goes_on):
            start = place
        before, kind_before = prefix, kind
    return found


def entity_scores(
    gold: Sequence[Sequence[str]], predicted: Sequence[Sequence[str]]
) -> EntityScores:
    """Compares predicted with gold tags, sentence by sentence; no entity crosses sentences.

    Args:
      gold: the tags of each sentence.
      predicted: as many tags for as many sentences.

    Raises:
      ValueError: no words at all, or numbers of sentences or tags that differ.
    """
    if len(gold) != len(predicted):
        raise ValueError(
            f"gold and predicted must have as many sentences. Received: {len(gold)} and "
            f"{len(predicted)}."
        )
    totals: dict[str, collections.Counter] = {
        name: collections.Counter() for name in ("gold", "found", "correct")
    }
    tokens = correct_tags = 0
    for number, (one, other) in enumerate(zip(gold, predicted, strict=True), start=1):
        if len(one) != len(other):
            raise ValueError(
                f"gold and predicted must have as many tags in each sentence. Received in "
                f"sentence {number}: {len(one)} and {len(other)}."
            )
        tokens += len(one)
        correct_tags += sum(a == b for a, b in zip(one, other, strict=True))
        wanted, found = entities(one), entities(other)
        totals["gold"].update(entity.type for entity in wanted)
        totals["found"].update(entity.type for entity in found)
        totals["correct"].update(entity.type for entity in set(wanted) & set(found))
    if not tokens:
        raise ValueError("There are no words to score.")
    types = {
        kind: Counts(*(totals[name][kind] for name in ("gold", "found", "correct")))
        for kind in sorted(totals["gold"] | totals["found"])
    }
    overall = Counts(*(totals[name].total() for name in ("gold", "found", "correct")))
    return EntityScores(tokens, correct_tags, overall, types)


def conlleval_text(scores: EntityScores) -> str:
    """The lines that conlleval.pl prints, to the last character."""
    whole = scores.overall
    accuracy = 100 * scores.num_correct_tags / scores.num_tokens
    lines = [
        f"processed {scores.num_tokens} tokens with {whole.gold} phrases; found: {whole.found} "
        f"phrases; correct: {whole.correct}.",
        f"accuracy: {accuracy:6.2f}%; {_percentages(whole)}",
    ]
    lines += [
        f"{kind:>17}: {_percentages(counts)}  {counts.found}"
        for kind, counts in scores.types.items()
    ]
    return "\n".join(lines) + "\n"


def _percentages(counts: Counts) -> str:
    # The script's own operations in their order, so that the last digit rounds as there.
    precision = 100 * counts.correct / counts.found if counts.found else 0.0
    recall = 100 * counts.correct / counts.gold if counts.gold else 0.0
    f1 = 2 * precision * recall / (precision + recall) if precision + recall else 0.0
    return f"precision: {precision:6.2f}%; recall: {recall:6.2f}%; FB1: {f1:6.2f}"
