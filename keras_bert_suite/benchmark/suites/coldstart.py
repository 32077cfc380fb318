"""From nothing to the first answer: a new process, imports, a classifier of BERT-base, one text."""

from __future__ import annotations

from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.materials import Materials
from keras_bert_suite.benchmark.suites.finetune import classifier
from keras_bert_suite.config import EncoderConfig

_TEXT = "How long does it take until the first answer comes?"
_LENGTH = 128


def cases(materials: Materials) -> list[Case]:
    """One case; a unit is a start."""
    model_dir, preset = classifier(materials, EncoderConfig.from_name("base"))
    answering = {
        "ours": ("own_answer", {"model_dir": model_dir}),
        "KerasHub": ("keras_hub_answer", {"preset": preset, "length": _LENGTH}),
    }
    ours, hub = (
        Entrant(
            label=label,
            contestant="cold_process",
            options={"contestant": contestant, "options": options},
        )
        for label, (contestant, options) in answering.items()
    )
    work = {"text": _TEXT}
    return [
        Case(
            name="import, loading, first prediction",
            unit="starts",
            entrant=ours,
            work=work,
            rivals=[Rival(entrant=hub, work=work, wanted=1.0)],
        )
    ]
