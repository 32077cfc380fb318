"""Text to pre-training records, on one core each, start-up left out."""

from __future__ import annotations

import re
from pathlib import Path

from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.materials import Materials

_MEGABYTES, _PEER_MEGABYTES = 20.0, 1.0  # about as long for both
_TEXTS_A_DOCUMENT = 8
_END_OF_SENTENCE = re.compile(r"(?<=[.!?])\s+")


def cases(materials: Materials) -> list[Case]:
    """One case. Google's program is given less of the same text: the rates are compared."""
    scale = materials.settings.scale
    rivals = []
    if materials.settings.google_bert_dir is not None:
        options = {
            "directory": materials.settings.google_bert_dir,
            **materials.vocabulary_options(),
        }
        google = Entrant(label="google-research/bert", contestant="google_records", options=options)
        work = {"text": str(_sentences(materials, _PEER_MEGABYTES * scale))}
        rivals.append(Rival(entrant=google, work=work, wanted=20.0))
    path = _sentences(materials, _MEGABYTES * scale)
    ours = Entrant(
        label="ours",
        contestant="own_records",
        options={"tokenizer": materials.texts.tokenizer_directory},
    )
    size = path.stat().st_size / 1e6
    return [
        Case(
            name=f"{size:.2g} MB of sentences",
            unit="bytes",
            entrant=ours,
            work={"text": str(path)},
            rivals=rivals,
        )
    ]


def _sentences(materials: Materials, megabytes: float) -> Path:
    """A file of a sentence a line, with a blank line after each document of eight texts."""
    path = materials.path("sentences.txt")
    with open(path, "w", encoding="utf-8") as file:
        for number, text in enumerate(materials.texts.lines(megabytes), start=1):
            print("\n".join(_END_OF_SENTENCE.split(text)), file=file)
            if number % _TEXTS_A_DOCUMENT == 0:
                print(file=file)
    return path
