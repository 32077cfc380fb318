"""Masked-LM steps on rows from 128 to 4,096 tokens, the same number of tokens in each step."""

from __future__ import annotations

from keras_bert_suite.benchmark import workloads
from keras_bert_suite.benchmark.contest import Case, Rival
from keras_bert_suite.benchmark.entrants import Entrant
from keras_bert_suite.benchmark.flop import masked_lm_flop
from keras_bert_suite.benchmark.materials import Materials
from keras_bert_suite.benchmark.suites.train import TrainingEntrants
from keras_bert_suite.config import EncoderConfig

_LENGTHS = (128, 1024, 4096)
_TOKENS = 4096  # of a step
_WINDOW = 128  # tokens that local layers see (ModernBERT's); every third layer sees all
# From the shortest rows to the longest, time a token grows less than twice, memory not at all.
_WANTED_SPEED, _WANTED_MEMORY = 0.5, 1.0
# Six layers, so that a third of them see all, and without dropout, as ModernBERT is trained.
_ENCODER = EncoderConfig(
    num_layers=6,
    hidden_size=256,
    num_heads=4,
    intermediate_size=1024,
    hidden_dropout=0.0,
    attention_dropout=0.0,
)


def cases(materials: Materials) -> list[Case]:
    """Local attention beside all of it and KerasHub at each length; then long beside short rows."""
    tokens = materials.settings.scaled(_TOKENS, least=_LENGTHS[0])
    lengths = [length for length in _LENGTHS if length <= tokens]
    config = materials.config(_ENCODER, max_positions=lengths[-1])
    local = config.replace(local_attention=_WINDOW)
    trained = {c: TrainingEntrants.of(materials, c) for c in (config, local)}
    found, of_length = [], {}
    for length in lengths:
        rows = tokens // length
        batch = workloads.masked_batch([length] * rows, vocab_size=config.vocab_size)
        path = workloads.save_batch(materials.path("long.npz"), batch)
        work = {"batch": path, "rows": rows, "steps": 1}
        # A process of its own for each length: the peak of its memory is that length's.
        ours = trained[local].ours("float32", label=f"ours, local, {length} tokens,")
        rivals = [
            trained[config].ours("float32", label=f"ours, {length} tokens,"),
            trained[config].keras_hub("float32", jit=False, label=f"KerasHub, {length} tokens,"),
        ]
        of_length[length] = ours, work
        flop = masked_lm_flop(local, batch)
        beside = [Rival(entrant=rival, work=work) for rival in rivals]
        found.append(_case(f"{length} tokens", ours, work, beside, flop))
    shortest, work = of_length[lengths[0]]
    rival = Rival(entrant=shortest, work=work, wanted=_WANTED_SPEED, wanted_memory=_WANTED_MEMORY)
    if len(lengths) > 1:
        name = f"{lengths[-1]} tokens beside {lengths[0]}"
        found.append(_case(name, *of_length[lengths[-1]], [rival]))
    return found


def _case(rows: str, ours: Entrant, work, rivals, flop: float | None = None) -> Case:
    return Case(
        name=f"rows of {rows}",
        unit="tokens",
        entrant=ours,
        work=work,
        rivals=rivals,
        useful_flop=flop,
        shows_memory=True,
    )
