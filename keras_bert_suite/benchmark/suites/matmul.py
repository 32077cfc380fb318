"""The machine's matrix products, of TensorFlow and PyTorch: what all else is measured by."""

from __future__ import annotations

from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.materials import Materials
from keras_bert_suite.benchmark.peers import torch_entrant

# The layers of BERT-base on a thousand tokens, and the attention scores of one head.
_SHAPES = {
    "square": [1024, 1024, 1024],
    "query, key, value": [1024, 768, 2304],
    "feed-forward": [1024, 768, 3072],
    "feed-forward, back": [1024, 3072, 768],
    "scores of a head": [128, 64, 128],
}
_FLOP = 4e10  # of one run: a tenth of a second


def cases(materials: Materials) -> list[Case]:
    """A case a shape and dtype."""
    ours = Entrant(label="TensorFlow", contestant="tensorflow_matmul")
    torch = torch_entrant(materials.settings, "PyTorch", "torch_matmul")
    found = []
    for dtype in ("float32", "bfloat16"):
        for name, (rows, inner, columns) in _SHAPES.items():
            times = materials.settings.scaled(round(_FLOP / (2 * rows * inner * columns)))
            work = {"shape": [rows, inner, columns], "dtype": dtype, "times": min(times, 1000)}
            found.append(
                Case(
                    name=f"{name}, [{rows}, {inner}] x [{inner}, {columns}], {dtype}",
                    unit="FLOP",
                    entrant=ours,
                    work=work,
                    rivals=[Rival(entrant=peer, work=work) for peer in torch],
                )
            )
    return found
