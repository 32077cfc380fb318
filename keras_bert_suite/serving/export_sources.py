"""What an export is made of: one model directory, or several tuned parts of one base."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from keras_bert_suite.checkpoints import published_tasks
from keras_bert_suite.checkpoints.adapter_set import AdapterSet
from keras_bert_suite.checkpoints.adapters import merged_if_possible
from keras_bert_suite.checkpoints.base_reference import BaseReference
from keras_bert_suite.checkpoints.model_directory import load_model, load_tokenizer, read_config
from keras_bert_suite.checkpoints.sources import find_source, is_tuned_part
from keras_bert_suite.checkpoints.task_model import load_task_model
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.text.tokenizer import Tokenizer

_NAME = re.compile(r"[A-Za-z0-9][\w.-]*", re.ASCII)
_DEFAULT = "serving_default"
MIXED = "mixed"  # the signature whose rows name their task, see mixed.py


@dataclasses.dataclass(frozen=True, kw_only=True)
class ExportSource:
    """A loaded model directory.

    Attributes:
      model: with the head of the task.
      tokenizer: the model's.
      task: what it answers; None for a pre-trained model.
      max_length: tokens that a row made from text keeps.
    """

    model: BertModel
    tokenizer: Tokenizer
    task: Task | None
    max_length: int


def load(
    model_dir: str | os.PathLike,
    precision: str,
    *,
    merge: bool,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    base_dir: str | os.PathLike | None = None,
) -> ExportSource:
    """Returns one model directory, see `export_model`."""
    model: BertModel | None = None
    values = read_config(model_dir, base_dir=base_dir)
    # A pre-trained model serves its vectors, and masked_lm beside them.
    if not task and not published_tasks.is_fine_tuned(values):
        model = load_model(model_dir, dtype=precision, base_dir=base_dir)
        return _source(model_dir, model, None, base_dir=base_dir)
    model, answers, _ = load_task_model(
        model_dir, task=task, options=options, dtype=precision, base_dir=base_dir
    )
    model = merged_if_possible(model) if merge else model
    return _source(model_dir, model, answers, base_dir=base_dir)


def load_several(
    model_dirs: Mapping[str, str | os.PathLike],
    precision: str,
    *,
    base_dir: str | os.PathLike | None,
    told: Mapping[str, Any],
) -> dict[str, ExportSource]:
    """Returns several tuned parts by name, on variables of their base that they have in common.

    Args:
      model_dirs: name -> directory.
      precision, base_dir: see `export_model`.
      told: task and options of one directory alone; all None.

    Raises:
      ValueError: a task or an option is told, a name that can be no signature's, a directory that
        is no tuned part, or one of another base.
    """
    if given := [f"--{key}" for key, value in told.items() if value is not None]:
        raise ValueError(
            f"{', '.join(given)} is for the export of one model directory. Leave it out: each of "
            "several answers what it was fine-tuned for."
        )
    adapters: AdapterSet | None = None
    sources = {}
    for name, directory in model_dirs.items():
        if not _NAME.fullmatch(name) or name in (_DEFAULT, MIXED):
            raise ValueError(
                "A task's name begins its signatures' and must be of letters, digits, and ._- "
                f"behind the first; {_DEFAULT} and {MIXED} are taken. Received: {name!r}"
            )
        found = find_source(directory, base_dir=base_dir)
        if not is_tuned_part(found.values):
            raise ValueError(
                "Tasks share an encoder where each is the tuned part of one base (bin/finetune.py "
                f"--tuning=lora, ...). {directory} holds a whole model: export it by itself"
            )
        base = base_dir or BaseReference.of(found).path
        if adapters is None:
            adapters, base_dir = AdapterSet(base, dtype=precision), base
        model, task, _ = load_task_model(
            directory, dtype=precision, base_dir=base, model=adapters.add(name, directory)
        )
        sources[name] = _source(directory, model, task, base_dir=base)
    return sources


def named_directories(items: Iterable[str]) -> dict[str, str]:
    """Returns name -> directory of NAME=DIRECTORY, or of DIRECTORY, whose last part is the name.

    Raises:
      ValueError: a name twice, or nothing.
    """
    found: dict[str, str] = {}
    for item in items:
        name, told, directory = item.partition("=")
        if not told or "/" in name:  # a path may have the character too
            name, directory = Path(item).name, item
        if name in found:
            raise ValueError(
                f"Each directory needs a name of its own, as NAME=DIRECTORY. Received twice: {name}"
            )
        found[name] = directory
    if not found:
        raise ValueError("There must be a directory to export. Received: none")
    return found


def _source(
    model_dir: str | os.PathLike,
    model: BertModel,
    task: Task | None,
    *,
    base_dir: str | os.PathLike | None,
) -> ExportSource:
    own = published_tasks.own_values(read_config(model_dir, base_dir=base_dir))
    max_positions = model.encoder.config.max_positions
    max_length = own.get("sequence_length", max_positions)
    if not isinstance(max_length, int) or not 3 < max_length <= max_positions:
        raise ValueError(
            f"{model_dir}/config.json: sequence_length must be in 4..{max_positions}, the model's "
            f"max_positions. Received: {max_length!r}"
        )
    tokenizer = load_tokenizer(model_dir, base_dir=base_dir)
    return ExportSource(model=model, tokenizer=tokenizer, task=task, max_length=max_length)
