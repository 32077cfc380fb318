"""Patterns and verbalizers of cloze prompts: what a user writes, checked; then as token ids.

    "{text} It was [MASK]."            positive=great|good,negative=terrible
    "{text_a}? [SEP] [MASK], {text_b}" entailment=Yes,neutral=Maybe,contradiction=No

Source: Schick and Schuetze 2021, arXiv:2001.07676, section 3.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from keras_bert_suite.text.json_files import read_json

if TYPE_CHECKING:
    from keras_bert_suite.text.tokenizer import Tokenizer

Verbalizer = tuple[tuple[str, ...], ...]  # for each label: its name, then its words


@dataclasses.dataclass(frozen=True)
class Slot:
    """Where the text of this place goes; `spaced`: after white space."""

    text: int
    spaced: bool


Segment = tuple[tuple[int, ...] | Slot, ...]

MASK, SEPARATOR = "[MASK]", "[SEP]"
_SAME = {"<mask>": MASK, "</s>": SEPARATOR}  # as RoBERTa writes them
_PARTS = re.compile(r"(\{\w*\}|\[MASK\]|<mask>|\[SEP\]|</s>)")
_EXAMPLES = "'{text} It was [MASK].' or '{text_a}? [SEP] [MASK], {text_b}'"


def parts_of(pattern: str) -> list[str]:
    """The pattern's words, slots ("{text}"), masks and separators, in their order; words may have
    white space around them.

    Raises:
      ValueError: it has no mask, not the slots of one text or of a pair, or an empty segment.
    """
    parts = [_SAME.get(part, part) for part in _PARTS.split(pattern.strip()) if part]
    slots = [part for part in parts if part.startswith("{") and _PARTS.fullmatch(part)]
    if sorted(slots) not in (["{text}"], ["{text_a}", "{text_b}"]):
        raise ValueError(
            "--pattern must have a slot for the text, {text}, or for both texts of a pair, {text_a}"
            f" and {{text_b}}, each once: {_EXAMPLES}. Received: {pattern!r}."
        )
    if MASK not in parts:
        raise ValueError(
            f"--pattern must have a [MASK] where the label's word belongs: {_EXAMPLES}. "
            f"Received: {pattern!r}."
        )
    segments = " ".join(part for part in parts if part.strip()).split(SEPARATOR)
    if len(segments) > 2 or not all(segment.strip() for segment in segments):
        raise ValueError(
            "--pattern may part its words into two segments by one [SEP], with something on both "
            f"sides; [CLS] and the last [SEP] stand there anyway. Received: {pattern!r}."
        )
    return parts


def slots_of(pattern: str) -> tuple[str, ...]:
    """("text",) or ("text_a", "text_b"): the texts that the pattern takes."""
    return ("text",) if "{text}" in parts_of(pattern) else ("text_a", "text_b")


def verbalizer_from_flag(entries: Sequence[str]) -> dict[str, Any]:
    """Label -> words, of label=word|word entries, or of the one JSON file that they name.

    Raises:
      ValueError: an entry without "=", a label twice, or a file that holds no JSON object.
    """
    if len(entries) == 1 and Path(entries[0]).is_file():
        return read_json(Path(entries[0]))
    found: dict[str, Any] = {}
    for entry in entries:
        label, equals, words = entry.rpartition("=")
        if not equals or label in found:
            raise ValueError(
                "--verbalizer must be label=word or label=word|word, comma separated, each label "
                f"once; or a JSON file of {{label: [words]}} that is there. Received: {entry!r}."
            )
        found[label] = words.split("|")
    return found


def checked_verbalizer(given: Mapping[str, Any] | Sequence[Sequence[str]]) -> Verbalizer:
    """The verbalizer as tuples.

    Raises:
      ValueError: fewer than two labels, a label without words, or a word of two labels.
    """
    if isinstance(given, Mapping):
        given = [(label, *_word_list(label, words)) for label, words in given.items()]
    entries = [entry for entry in given if isinstance(entry, list | tuple) and entry]
    verbalizer = tuple(tuple(str(value).strip() for value in entry) for entry in entries)
    if len(verbalizer) < 2:
        raise ValueError(
            "--task=cloze needs --verbalizer with at least two labels and a word or several for "
            f"each: positive=great|good,negative=terrible. Received: {len(verbalizer)}."
        )
    label_of: dict[str, str] = {}
    for label, *words in verbalizer:
        if not words or not all(words):
            raise ValueError(
                f"--verbalizer must give every label a word or several. Label {label!r} has: "
                f"{', '.join(map(repr, words)) or 'none'}."
            )
        for word in words:
            if word in label_of:
                raise ValueError(
                    f"--verbalizer must give a word to one label, once. Received {word!r} for "
                    f"{label_of[word]!r} and for {label!r}."
                )
            label_of[word] = label
    return verbalizer


def _word_list(label: str, words: Any) -> list[str]:
    words = [words] if isinstance(words, str) else words
    if not isinstance(words, list | tuple) or not all(isinstance(word, str) for word in words):
        raise ValueError(
            "--verbalizer must give every label a word or a list of words. Label "
            f"{label!r} has: {json.dumps(words)}."
        )
    return list(words)


def segments_of(pattern: str, tokenizer: Tokenizer) -> tuple[Segment, ...]:
    """The pattern's one segment or two, as ids of the vocabulary and slots; eager.

    White space before a slot becomes the text's own, and that before a mask belongs to the word in
    its place: byte-level BPE writes it into the piece that follows.
    """
    slots = slots_of(pattern)
    segments: list[list[tuple[int, ...] | Slot]] = [[]]
    spaced = False
    for part in parts_of(pattern):
        segment = segments[-1]
        if part == SEPARATOR:
            segments.append([])
        elif part == MASK:
            segment.append((tokenizer.mask_id,))
        elif _PARTS.fullmatch(part):
            segment.append(Slot(slots.index(part.strip("{}")), spaced=spaced))
        elif part.strip():
            words = part.rstrip() if segment else part.strip()
            segment.append(tuple(tokenizer.tokenize([words])[0].ids))
        spaced = part[-1].isspace() and bool(segment)
    return tuple(tuple(segment) for segment in segments)


def word_ids(
    verbalizer: Verbalizer, tokenizer: Tokenizer, *, num_masks: int
) -> list[list[list[int]]]:
    """For each label its words, each as the ids of its pieces.

    Raises:
      ValueError: a word that has not as many pieces as the pattern has masks, or an unknown one.
    """
    found = []
    for label, *words in verbalizer:
        # As words that others precede.
        pieces = [one.ids for one in tokenizer.tokenize([f" {word}" for word in words])]
        for word, ids in zip(words, pieces, strict=True):
            shown = " ".join(tokenizer.vocabulary[i] for i in ids) or "nothing"
            if tokenizer.unk_id in ids or not ids:
                raise ValueError(
                    f"The vocabulary cannot write the word {word!r} of label {label!r}: it is "
                    f"{shown} there. Choose another word."
                )
            if len(ids) != num_masks:
                raise ValueError(
                    f"A word must have a piece for each [MASK] of the pattern, {num_masks}. "
                    f"Received for label {label!r}: {word!r}, {len(ids)} pieces of this vocabulary "
                    f"({shown}). Choose another word, or write as many [MASK] as all words have "
                    "pieces."
                )
        found.append(pieces)
    return found
