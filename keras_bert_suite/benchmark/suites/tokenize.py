"""Tokenizing real text: ours and KerasHub's in tf.data, the Rust tokenizers beside it."""

from __future__ import annotations

import json

from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.materials import Materials

_MEGABYTES, _ROWS, _COMPARED = 5.0, 256, 10_000


def cases(materials: Materials) -> list[Case]:
    """One case; "difference" is the share of texts whose ids differ."""
    directory = materials.texts.tokenizer_directory
    told = materials.vocabulary_options()
    texts = materials.texts.lines(_MEGABYTES * materials.settings.scale)
    path = materials.path("texts.jsonl")
    with open(path, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    work = {"texts": str(path), "rows": _ROWS, "compared": min(_COMPARED, len(texts))}
    peers = (("KerasHub", "keras_hub_tokenizer", 2.0), ("Rust tokenizers", "rust_tokenizer", 5.0))
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    return [
        Case(
            name=f"{megabytes:.2g} MB in {len(texts):,} texts",
            unit="bytes",
            entrant=Entrant(
                label="ours", contestant="own_tokenizer", options={"tokenizer": directory}
            ),
            work=work,
            rivals=[
                Rival(
                    entrant=Entrant(label=label, contestant=contestant, options=told),
                    work=work,
                    wanted=wanted,
                )
                for label, contestant, wanted in peers
            ],
            compares="rows",
        )
    ]
