"""A model directory as a model that answers one task."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from keras_bert_suite.checkpoints import published_tasks
from keras_bert_suite.checkpoints.model_directory import (
    load_model,
    load_tokenizer,
    read_config,
)
from keras_bert_suite.models.bert_model import BertModel
from keras_bert_suite.tasks.task import Task


def load_task_model(
    model_dir: str | os.PathLike,
    *,
    task: str | None = None,
    options: Mapping[str, Any] | None = None,
    dtype: str | None = None,
    base_dir: str | os.PathLike | None = None,
    model: BertModel | None = None,
) -> tuple[BertModel, Task, dict[str, Any]]:
    """The model, the task it answers, and what config.json keeps under "keras_bert_suite".

    Args:
      model_dir: the model directory.
      task: a task's name; None takes that of the fine-tuning, or of the head that config.json's
        `architectures` names. Another one needs a head that is there (fill_mask, cloze: the
        masked-LM head) or one without weights (embedding, token_vectors).
      options: of the task, told anew; None values are left out.
      dtype: Keras dtype policy.
      base_dir: of a tuned part, see `load_model`.
      model: that of the directory, where it is loaded already.

    Raises:
      ValueError: no task, an unknown one, an option that does not apply, or no head for it; what
        `load_model` raises.
    """
    options = options or {}
    values = read_config(model_dir, base_dir=base_dir)
    own = published_tasks.own_values(values)
    kind = published_tasks.answering_head(values)
    if task is None and "task" not in own and kind is None:
        raise ValueError(
            f"{model_dir} was not fine-tuned for a task: its config.json names none, and no head "
            f"that answers. Run bin/finetune.py --init_from={model_dir} first, or give "
            "--task=embedding or token_vectors, which need none."
        )
    if model is None:
        model = load_model(model_dir, dtype=dtype, base_dir=base_dir)
    stored: Task | None = None
    if "task" in own:
        stored = Task.from_config(own["task"])
    elif kind is not None:
        stored = published_tasks.task_of(model.heads[kind], options)
    if stored is not None and task in (None, stored.name):
        wanted: Task = stored.adjusted(options)
    else:
        wanted = Task.from_options(str(task), options)
    if stored is None or wanted.name != stored.name or wanted.head_is_remade:
        resolved = wanted.for_tokenizer(load_tokenizer(model_dir, base_dir=base_dir))
        model = answering(model, resolved, where=model_dir, dtype=dtype)
    return model, wanted, own


def answering(
    model: BertModel, task: Task, *, where: str | os.PathLike, dtype: str | None = None
) -> BertModel:
    """The model with the task's own head alone, whose weights are those of its head of the kind.

    Args:
      model: as it was loaded.
      task: fitted, and with what it needs of the tokenizer.
      where: what messages call the model.
      dtype: Keras dtype policy.

    Raises:
      ValueError: the task knows no labels; the model has no such head, and the task's has weights.
    """
    remedy = f" Run bin/finetune.py --task={task.name} --init_from={where} first."
    if task.lacks_labels:
        raise ValueError(
            f"{where} was not fine-tuned for the task {task.name!r}: its labels are not known."
            f"{remedy}"
        )
    head = task.head(model.encoder.config, dtype=dtype)
    if head.weights:
        if head.kind not in model.heads:
            raise ValueError(
                f"{where} has no head {head.kind!r}, which the task {task.name!r} needs. It has: "
                f"{', '.join(model.heads) or 'none'}.{'' if task.needs_stored_head else remedy}"
            )
        stored = model.heads[head.kind]
        for variable, value in zip(head.weights, stored.weights, strict=True):
            variable.assign(value)
    wanted = BertModel(model.encoder, [head], dtype=dtype)
    wanted.tuned = model.tuned
    return wanted
