"""BERT-base inference: rows of the lengths that people send, full rows, one row."""

from __future__ import annotations

from keras_bert_suite.benchmark import workloads
from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.flop import inference_flop
from keras_bert_suite.benchmark.materials import Materials
from keras_bert_suite.benchmark.peers import model_garden_entrant, onnx_entrant, torch_entrant
from keras_bert_suite.config import EncoderConfig

_LENGTH = 128
_SINGLE_ROWS = 5  # calls in a run on one row, which alone is too short to be timed well


def cases(materials: Materials) -> list[Case]:
    """Three batches in float32 and bfloat16."""
    config = materials.config(EncoderConfig.from_name("base"))
    model = materials.model(config)
    entrants = _Entrants(materials, model)
    longest = min(_LENGTH, config.max_positions)
    rows = materials.settings.scaled(32, least=4)
    variable = workloads.natural_lengths(rows, longest=longest)
    full = [longest] * materials.settings.scaled(8)
    single = [longest]
    real = variable.sum() / (len(variable) * variable.max())
    made = _Cases(materials, config)
    name = f"{len(variable)} rows of {variable.min()} to {variable.max()} tokens ({real:.0%} real)"
    whole = f"{len(full)} full rows of {longest}"
    one = f"1 row of {longest}"
    f32, bf16 = "float32", "bfloat16"
    return [
        made.case(name, f32, entrants, variable, [2.5, None, 2.5, 4.5], share=0.9),
        made.case(name, bf16, entrants, variable, [3.0, None, None, 2.5]),
        made.case(whole, f32, entrants, full, [1.0, 1.0, None, None], jit=True),
        made.case(whole, bf16, entrants, full, [1.25, 1.25, None, None], jit=True),
        made.case(one, f32, entrants, single, [1.05, None, None, None], times=_SINGLE_ROWS),
    ]


class _Entrants:
    """Who computes in which dtype; all from the same weights, but the Model Garden's."""

    def __init__(self, materials: Materials, model):
        self._settings = materials.settings
        self._directory = materials.model_directory(model)
        self._preset = materials.preset(model)
        self._config = model.encoder.config

    def ours(self, dtype: str) -> Entrant:
        options = {"model_dir": self._directory, "dtype": dtype}
        return Entrant(label=f"ours {dtype}", contestant="own_encoder", options=options)

    def keras_hub(self, dtype: str, *, jit: bool) -> Entrant:
        policy = "float32" if dtype == "float32" else "mixed_bfloat16"
        return Entrant(
            label=f"KerasHub {policy}{' jit' if jit else ''}",
            contestant="keras_hub_encoder",
            options={"preset": self._preset, "dtype": policy, "jit": jit},
        )

    def elsewhere(self, dtype: str) -> tuple[list[Entrant], list[Entrant], list[Entrant]]:
        """onnxruntime, PyTorch and the Model Garden, each as a list of one or none."""
        options = {"model_dir": self._directory}
        # onnxruntime has no bfloat16 on a CPU.
        onnx = (
            onnx_entrant(self._settings, "onnxruntime float32", "onnx_encoder", **options)
            if dtype == "float32"
            else []
        )
        torch = torch_entrant(
            self._settings, f"PyTorch {dtype}", "torch_encoder", dtype=dtype, **options
        )
        garden = model_garden_entrant(
            self._settings, f"Model Garden {dtype}", "model_garden_encoder", self._config, dtype
        )
        return onnx, torch, garden


class _Cases:
    def __init__(self, materials: Materials, config: EncoderConfig):
        self._materials, self._config = materials, config

    def case(self, rows, dtype, entrants, lengths, wanted, *, share=None, jit=False, times=1):
        """One case.

        Args:
          wanted: ratios aimed at: KerasHub, KerasHub with XLA, onnxruntime, PyTorch.
          share: of the matmul rate, aimed at.
          jit: whether KerasHub runs with XLA too, which compiles anew for each shape.
          times: calls in a run.
        """
        batch = workloads.token_batch(lengths, vocab_size=self._config.vocab_size)
        path = workloads.save_batch(self._materials.path("batch.npz"), batch)
        work = {"batch": path, "times": times}
        hub = [entrants.keras_hub(dtype, jit=False)], [entrants.keras_hub(dtype, jit=True)]
        groups = [hub[0], hub[1] if jit else [], *entrants.elsewhere(dtype)]
        rivals = [
            Rival(entrant=entrant, work=work, wanted=ratio)
            for group, ratio in zip(groups, [*wanted, None], strict=True)
            for entrant in group
        ]
        return Case(
            name=f"{rows}, {dtype}",
            unit="useful tokens",
            entrant=entrants.ours(dtype),
            work=work,
            rivals=rivals,
            useful_flop=times * inference_flop(self._config, lengths),
            wanted_share=share,
            compares="numbers",
        )
