"""A served classifier beside its own graph: one text at a time, and many clients with batching."""

from __future__ import annotations

from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.materials import Materials
from keras_bert_suite.benchmark.suites.finetune import ENCODER, classifier, labelled_texts
from keras_bert_suite.serving.throughput_report import OFFLINE_ROWS

_TEXTS, _SECONDS = 512, 3.0
# (clients, texts of a request, share of the graph's rate that is wanted)
_SETTINGS = ((16, 1, None), (4, 8, None), (4, 32, 0.85))
_WANTED_SINGLE = 1 / 1.15  # the server adds at most 15 % to the time of one text


def cases(materials: Materials) -> list[Case]:
    """The graph alone gets token ids; the server tokenizes, decodes and talks beside it."""
    from keras_bert_suite.serving.saved_model import export_model

    model_dir, _ = classifier(materials, ENCODER)
    export_dir = materials.path("export")
    version_dir = export_model(model_dir, export_dir).path
    texts = labelled_texts(materials, materials.settings.scaled(_TEXTS, least=2 * OFFLINE_ROWS))
    graph = Entrant(
        label="graph alone",
        contestant="own_graph",
        options={"model_dir": model_dir, "version_dir": str(version_dir), "texts": texts},
    )

    def case(clients: int, rows: int, wanted: float | None, *, batching: bool) -> Case:
        server = Entrant(
            label="served, batching" if batching else "served",
            contestant="own_server",
            options={"export_dir": str(export_dir), "batching": batching},
        )
        work = {"texts": texts, "clients": clients, "rows": rows, "seconds": _SECONDS}
        alone = {"rows": OFFLINE_ROWS if batching else 1, "seconds": _SECONDS}
        return Case(
            name=f"{clients} clients, {rows} texts a request",
            unit="texts",
            entrant=server,
            work=work,
            rivals=[Rival(entrant=graph, work=alone, wanted=wanted)],
        )

    many = [case(*setting, batching=True) for setting in _SETTINGS]
    return [case(1, 1, _WANTED_SINGLE, batching=False), *many]
