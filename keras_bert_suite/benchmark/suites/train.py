"""Masked-LM steps: full rows in two shapes of encoder, and short documents, packed by us."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from keras_bert_suite.benchmark import workloads
from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.flop import masked_lm_flop
from keras_bert_suite.benchmark.materials import Materials
from keras_bert_suite.benchmark.peers import torch_entrant
from keras_bert_suite.config import EncoderConfig

_LENGTH, _ROWS, _STEPS = 128, 32, 2
# Layers, hidden size, heads
_SHAPES = ((4, 256, 4), (6, 384, 12))


def cases(materials: Materials) -> list[Case]:
    """Each shape in float32 and bfloat16, then short documents."""
    found = []
    for layers, hidden, heads in _SHAPES[: 1 if materials.settings.encoder else None]:
        default = EncoderConfig(
            num_layers=layers, hidden_size=hidden, num_heads=heads, intermediate_size=4 * hidden
        )
        found += _cases_of_shape(materials, materials.config(default))
    return found


def _cases_of_shape(materials: Materials, config: EncoderConfig) -> list[Case]:
    entrants = TrainingEntrants.of(materials, config)
    rows = materials.settings.scaled(_ROWS, least=2)
    full = workloads.masked_batch([_LENGTH] * rows, vocab_size=config.vocab_size)
    path = workloads.save_batch(materials.path("full.npz"), full)
    work = {"batch": path, "rows": rows, "steps": _STEPS}
    once = {**work, "steps": 1}  # PyTorch takes several times as long
    name = f"{entrants.shape}, {rows} full rows of {_LENGTH}"
    found = []
    for dtype in ("float32", "bfloat16"):
        aims = (1.3, 4.0) if dtype == "float32" else (None, None)
        rivals = [
            Rival(entrant=entrants.keras_hub(dtype), work=work, wanted=aims[0]),
            *(Rival(entrant=e, work=once, wanted=aims[1]) for e in entrants.torch(dtype)),
        ]
        if dtype == "float32":
            # Keras chooses XLA by itself; here without it.
            plain = Rival(entrant=entrants.keras_hub(dtype, jit=False), work=work, wanted=1.3)
            rivals.insert(1, plain)
        found.append(
            Case(
                name=f"{name}, {dtype}",
                unit="useful tokens",
                entrant=entrants.ours(dtype),
                work=work,
                rivals=rivals,
                useful_flop=_STEPS * masked_lm_flop(config, full),
                compares="numbers",
            )
        )
    return [*found, _short_documents(materials, config, entrants, rows)]


def _short_documents(materials, config, entrants, rows) -> Case:
    """The same documents: packed by us, padded to 128 by KerasHub."""
    documents = 3 * rows
    lengths = workloads.natural_lengths(documents, longest=_LENGTH)
    lengths[0] = _LENGTH  # so that the batch is padded to it, however few there are
    padded = workloads.masked_batch(lengths.tolist(), vocab_size=config.vocab_size)
    packed = workloads.packed(padded, length=_LENGTH)
    paths = [
        workloads.save_batch(materials.path(f"{name}.npz"), batch)
        for name, batch in (("padded", padded), ("packed", packed))
    ]
    theirs = {"batch": paths[0], "rows": rows, "steps": documents // rows}
    ours = {"batch": paths[1], "rows": len(packed["token_ids"]), "steps": 1}
    return Case(
        name=f"{entrants.shape}, {documents} documents of median {np.median(lengths):.0f} tokens, "
        "float32",
        unit="useful tokens",
        entrant=entrants.ours("float32"),
        work=ours,
        rivals=[Rival(entrant=entrants.keras_hub("float32"), work=theirs, wanted=3.0)],
        useful_flop=masked_lm_flop(config, padded),
    )


@dataclasses.dataclass(frozen=True)
class TrainingEntrants:
    """Who trains an encoder of a shape, all from the same weights but KerasHub's head."""

    settings: Any
    shape: str
    model_dir: str
    preset: str

    @classmethod
    def of(cls, materials: Materials, config: EncoderConfig) -> TrainingEntrants:
        """Writes the model."""
        from keras_bert_suite.models.heads.masked_lm import MaskedLMHead

        model = materials.model(config, head=MaskedLMHead.for_encoder(config))
        shape = f"{config.num_layers} x {config.hidden_size} x {config.num_heads}"
        paths = materials.model_directory(model), materials.preset(model)
        return cls(materials.settings, shape, *paths)

    def ours(self, dtype: str, *, label: str = "ours", **options: Any) -> Entrant:
        """Our step."""
        options = {"model_dir": self.model_dir, "precision": dtype, **options}
        name = f"{label} {self.shape} {dtype}"
        return Entrant(label=name, contestant="own_masked_lm", options=options)

    def keras_hub(self, dtype: str, *, jit: bool = True, label: str = "KerasHub fit") -> Entrant:
        """KerasHub's; jit: Keras' own choice, which is XLA."""
        policy = "float32" if dtype == "float32" else "mixed_bfloat16"
        options = {"preset": self.preset, "dtype": policy, "jit": "auto" if jit else False}
        name = f"{label}{'' if jit else ' without XLA'} {self.shape} {policy}"
        return Entrant(label=name, contestant="keras_hub_masked_lm", options=options)

    def torch(self, dtype: str) -> list[Entrant]:
        """PyTorch's, as a list of one or none."""
        label = f"PyTorch {self.shape} {dtype}"
        options = {"model_dir": self.model_dir, "autocast": dtype == "bfloat16"}
        return torch_entrant(self.settings, label, "torch_masked_lm", **options)
