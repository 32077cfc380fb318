"""adapter_config.json: what PEFT needs to open a tuned part beside its base, and the reverse.

Source: `LoraConfig`, `PrefixTuningConfig` and `PromptTuningConfig` of PEFT 0.21.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.checkpoints.adapter_names import WithoutPrefix, module_names
from keras_bert_suite.checkpoints.base_reference import BaseReference
from keras_bert_suite.checkpoints.huggingface import CurrentNames
from keras_bert_suite.checkpoints.huggingface_config import OWN_KEY, architecture_of
from keras_bert_suite.checkpoints.huggingface_tables import TABLES
from keras_bert_suite.checkpoints.safetensors_file import SafetensorsFile
from keras_bert_suite.checkpoints.sources import (
    PEFT_CONFIG_FILE,
    PEFT_FILE,
    Source,
    find_source,
    read_object,
)
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.tuning.lora import PARTS, Lora
from keras_bert_suite.tuning.prompts import Prefix, Prompt

_TASK_TYPES = {
    "classification": "SEQ_CLS",
    "labeling": "TOKEN_CLS",
    "qa": "QUESTION_ANS",
}
# What changes LoRA's numbers and is not computed here, with the value that changes nothing.
_PLAIN = {
    "use_dora": False,
    "use_rslora": False,
    "bias": "none",
    "rank_pattern": {},
    "alpha_pattern": {},
    "fan_in_fan_out": False,
    "lora_bias": False,
}


def describe(model: BertModel) -> dict[str, Any] | None:
    """Returns adapter_config.json of a tuned model; None where PEFT has no such method."""
    method = model.tuned.method
    if isinstance(method, Prefix | Prompt):
        return _prompt(model, method)
    if not isinstance(method, Lora):
        return None
    alpha = method.lora_alpha
    return {
        **_common(model),
        "peft_type": "LORA",
        "r": method.lora_rank,
        "lora_alpha": int(alpha) if alpha == int(alpha) else alpha,
        "lora_dropout": method.lora_dropout,
        "target_modules": _target_modules(model, method.lora_targets),
        "modules_to_save": _modules_to_save(model),
        "bias": "none",
        "fan_in_fan_out": False,
    }


def _prompt(model: BertModel, method: Prefix | Prompt) -> dict[str, Any]:
    """adapter_config.json of a prompt; the token_dim is that of the vectors' place."""
    config = model.encoder.config
    deep = isinstance(method, Prefix)
    length = method.prefix_length if isinstance(method, Prefix) else method.prompt_length
    return {
        **_common(model),
        "peft_type": "PREFIX_TUNING" if deep else "PROMPT_TUNING",
        "num_virtual_tokens": length,
        "token_dim": config.hidden_size if deep else config.embedding_size or config.hidden_size,
        "num_transformer_submodules": 1,
        "num_attention_heads": config.num_heads,
        "num_layers": config.num_layers,
        "modules_to_save": _modules_to_save(model),
        **(
            {"encoder_hidden_size": config.hidden_size, "prefix_projection": False}
            if deep
            else {"prompt_tuning_init": "RANDOM"}
        ),
    }


def _common(model: BertModel) -> dict[str, Any]:
    kinds = [kind for kind in model.heads if kind in _TASK_TYPES]
    return {
        "base_model_name_or_path": model.tuned.base.path,
        "task_type": _TASK_TYPES[kinds[0]] if kinds else None,
        "inference_mode": True,
        "revision": None,
    }


def _target_modules(model: BertModel, targets: Sequence[str]) -> list[str]:
    """The modules by their last names where those mean no others, else by their whole names."""
    encoder = model.encoder
    modules = module_names(encoder.config.family, len(encoder.blocks))
    wanted = [
        modules[f"blocks.{index}.{path}"][part]
        for index in range(len(encoder.blocks))
        for path, part, _ in (PARTS[target] for target in targets)
    ]
    short = list(dict.fromkeys(name.rpartition(".")[2] for name in wanted))
    every = [name for names in modules.values() for name in names]
    if {name for name in every if name.rpartition(".")[2] in short} == set(wanted):
        return short
    return wanted


def _modules_to_save(model: BertModel) -> list[str]:
    """The heads' modules by the first part of their names, and the pooler if it was tuned."""
    table = TABLES[model.encoder.config.family]
    names = [name for kind in model.heads for rule in table.heads[kind] for name in rule.theirs]
    modules = list(dict.fromkeys(name.partition(".")[0] for name in names))
    read = any(head.uses_pooler for head in model.heads.values())
    return [*modules, "pooler"] if read and model.encoder.pooler is not None else modules


def source(directory: Path, *, base_dir: Path | None) -> Source:
    """Returns what PEFT wrote, as if it were a tuned part of ours.

    Args:
      directory: with adapter_config.json.
      base_dir: where the base is; None where adapter_config.json says it.

    Raises:
      ValueError: the base is not here, or another method than those read here.
      FileNotFoundError: no adapter_model.safetensors, or nothing at `base_dir`.
    """
    file = directory / PEFT_CONFIG_FILE
    values = read_object(file)
    base = base_dir or _base_directory(values, directory=directory)
    ours = _to_ours(values, find_source(base).values, base=base, directory=directory)
    return Source("peft", directory, file, None, ours)


def _base_directory(values: Mapping[str, Any], *, directory: Path) -> Path:
    name = values.get("base_model_name_or_path")
    for place in (Path(str(name)), directory / str(name)):
        if name and os.path.isdir(place):
            return place
    raise ValueError(
        f"{directory}/{PEFT_CONFIG_FILE}: `base_model_name_or_path` must be a directory here. "
        f"Received: {name!r:.200}. Nothing is downloaded: get the base, and say by --base_dir "
        "(base_dir=... in Python) where it is"
    )


def _to_ours(
    values: Mapping[str, Any], base_values: Mapping[str, Any], *, base: Path, directory: Path
) -> dict[str, Any]:
    """config.json of a tuned part for an adapter_config.json and the config.json of its base."""
    config = EncoderConfig.from_huggingface(dict(base_values))
    with SafetensorsFile(directory / PEFT_FILE) as file:
        names = sorted(CurrentNames(WithoutPrefix(file), config.family).names)
    blocks = 1 if config.share_layers else config.num_layers
    where = directory / PEFT_CONFIG_FILE
    method = _lora_of(values, names, family=config.family, num_blocks=blocks, where=where)
    tasks = {task: kind for kind, task in _TASK_TYPES.items()}
    kinds = [tasks[values["task_type"]]] if values.get("task_type") in tasks else []
    return {
        **base_values,
        "architectures": [architecture_of(kinds, config.family)],
        OWN_KEY: {
            "heads": [{"kind": kind} for kind in kinds],
            "tuning": method.to_config(),
            "base": BaseReference.to(base).to_config(directory),
        },
    }


def _lora_of(
    values: Mapping[str, Any], names: Sequence[str], *, family: str, num_blocks: int, where: Path
) -> Lora:
    """The method that tensors of these names, without PEFT's prefix, were made with."""
    if values.get("peft_type") != "LORA":
        raise ValueError(
            f"{where}: `peft_type` must be LORA. Received: {values.get('peft_type')!r:.80}. Other "
            "methods are read from directories that bin/finetune.py wrote"
        )
    for key, plain in _PLAIN.items():
        if values.get(key, plain) not in (plain, None):
            raise ValueError(f"{where}: `{key}` must be {plain!r}. Received: {values[key]!r:.80}")
    modules = module_names(family, num_blocks)
    found = {name.removesuffix(".lora_A.weight") for name in names if ".lora_A." in name}
    targets = tuple(
        t for t, (path, i, _) in PARTS.items() if modules[f"blocks.0.{path}"][i] in found
    )
    rank, alpha = values.get("r"), values.get("lora_alpha")
    if not targets or type(rank) is not int or not isinstance(alpha, int | float):
        raise ValueError(
            f"{where}: needs `r`, `lora_alpha` and matrices of the first layer's "
            f"{', '.join(PARTS)}. Received: r={rank!r:.20}, lora_alpha={alpha!r:.20}, "
            f"{len(found)} corrected modules"
        )
    return Lora(lora_rank=rank, lora_alpha=float(alpha), lora_targets=targets)
