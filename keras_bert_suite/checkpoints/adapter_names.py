"""The names of a tuned part's tensors: PEFT's where PEFT has the method, else of the same kind.

What the base has too (biases, norms, pooler, heads) has Hugging Face's name. LoRA's matrices stand
behind the name of their dense layer ("...attention.self.query.lora_A.weight"), prompts are
"prompt_embeddings". Adapters, which PEFT does not have, stand under the path of their slot
("adapters.blocks.0.attention_adapter.down.kernel"). A file has "base_model.model." before each
name, as PEFT writes it; for prompts "base_model.", and nothing before "prompt_embeddings".

Source: peft/utils/save_and_load.py of PEFT 0.21.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

import numpy as np

from keras_bert_suite.checkpoints import huggingface, rename
from keras_bert_suite.checkpoints.huggingface_tables import TABLES
from keras_bert_suite.checkpoints.rename import TRANSPOSED, Binding, Rule, TensorSource
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.tuning.method import TuningMethod

PROMPT = "prompt_embeddings"
PROMPT_SLOTS = ("deep_prompt", "soft_prompt")
_LORA_SLOT = "update"
_PREFIX, _PROMPT_PREFIX = "base_model.model.", "base_model."


def bindings(model: BertModel, method: TuningMethod) -> list[Binding]:
    """Returns the variables of the tuned part with their names, without PEFT's prefix."""
    encoder = model.encoder
    rules = [rule for path in encoder.attached for rule in _attached_rules(model, path)]
    bound = huggingface.bind(encoder, model.heads, more=rules)
    saved = {id(variable) for variable in method.saved(model)}
    return [binding for binding in bound if id(binding.variable) in saved]


def module_names(family: str, num_blocks: int) -> dict[str, tuple[str, ...]]:
    """Returns path of a dense layer ("blocks.0.attention.output_dense") -> Hugging Face's modules.

    Several are the parts of our layer's outputs, in order.
    """
    rules = rename.expand(TABLES[family].encoder, num_layers=num_blocks)
    return {
        rule.ours.removeprefix("encoder.").removesuffix(".kernel"): tuple(
            name.removesuffix(".weight") for name in rule.theirs
        )
        for rule in rules
        if rule.ours.endswith(".kernel")
    }


def prefix_of(names: Collection[str]) -> str:
    """Returns what PEFT puts before all names but that of a prompt."""
    return _PROMPT_PREFIX if PROMPT in names else _PREFIX


def with_prefix(tensors: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Returns the tensors under the names that they have in the file."""
    prefix = prefix_of(tensors)
    return {name if name == PROMPT else prefix + name: v for name, v in tensors.items()}


class WithoutPrefix:
    """A tensor source under the names of `bindings`; a file of PEFT's or of ours."""

    def __init__(self, source: TensorSource):
        self._source, self.path = source, source.path
        prefix = prefix_of(source.names)
        self._stored = {name.removeprefix(prefix): name for name in source.names}

    @property
    def names(self) -> Collection[str]:
        return self._stored.keys()

    def shape(self, name: str) -> tuple[int, ...]:
        return self._source.shape(self._stored[name])

    def read(self, name: str) -> np.ndarray:
        return self._source.read(self._stored[name])


def _attached_rules(model: BertModel, path: str) -> list[Rule]:
    owner, _, slot = path.rpartition(".")
    ours = f"encoder.{path}"
    encoder = model.encoder
    if slot in PROMPT_SLOTS:
        return [Rule(f"{ours}.{PROMPT}", (PROMPT,))]
    if slot == _LORA_SLOT:
        modules = module_names(encoder.config.family, len(encoder.blocks))[owner]
        targets = encoder.attachments()[path].targets
        return [
            Rule(f"{ours}.{kind}_{i}", (f"{modules[i]}.lora_{kind.upper()}.weight",), TRANSPOSED)
            for i in targets
            for kind in "ab"
        ]
    layer = encoder.attachments()[path]
    return [Rule(f"{ours}.{name}", (f"adapters.{path}.{name}",)) for name in layer.variable_names]
