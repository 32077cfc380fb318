"""The task of a model whose config.json names none: what the head of its class answers.

transformers keeps the class, the names of the labels and the type of the problem; what a model
reads (one text or two, which columns) stands nowhere. Single texts are taken, or what each file
and each flag says.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from keras_bert_suite.checkpoints.huggingface_tables import TABLES
from keras_bert_suite.checkpoints.sources import OWN_KEY
from keras_bert_suite.families import family_of
from keras_bert_suite.models.heads.head import Head
from keras_bert_suite.tasks import tag_schemes
from keras_bert_suite.tasks.classification import Classification
from keras_bert_suite.tasks.fill_mask import FillMask
from keras_bert_suite.tasks.labeling import Labeling
from keras_bert_suite.tasks.multilabel import MultiLabel
from keras_bert_suite.tasks.multiple_choice import MultipleChoice
from keras_bert_suite.tasks.question_answering import QuestionAnswering
from keras_bert_suite.tasks.regression import Regression
from keras_bert_suite.tasks.task import Task

# Heads that fine-tuning makes; the masked-LM head answers too, but is that of pre-training.
_FINE_TUNED = ("classification", "labeling", "multiple_choice", "qa")
_PRETRAINED = "mlm"


def own_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Returns what config.json keeps under "keras_bert_suite"; empty in another program's."""
    own = values.get(OWN_KEY)
    return own if isinstance(own, dict) else {}


def answering_head(values: Mapping[str, Any]) -> str | None:
    """Returns the head whose task a model answers if nobody says otherwise.

    Args:
      values: config.json.

    Returns:
      The kind of the head that the class in `architectures` is fine-tuned with, or else "mlm" where
      the class has it; None for an encoder alone and for classes that are not known here.
    """
    classes = TABLES[family_of(values)].classes
    named = values.get("architectures")
    names = named if isinstance(named, list) else []
    kinds = [kind for name in names if isinstance(name, str) for kind in classes.get(name, ())]
    tuned = [kind for kind in kinds if kind in _FINE_TUNED]
    return tuned[-1] if tuned else _PRETRAINED if _PRETRAINED in kinds else None


def is_fine_tuned(values: Mapping[str, Any]) -> bool:
    """Returns whether a model, by its config.json, has learnt a task beyond pre-training."""
    return "task" in own_values(values) or answering_head(values) not in (None, _PRETRAINED)


def task_of(head: Head, options: Mapping[str, Any]) -> Task:
    """Returns the task that a head answers.

    Labels are the head's. Tags mark entities if all of them can. A question has an answer unless
    `null_threshold` is told, since no file says whether the model has learnt to leave one out.

    Args:
      head: of a kind that `answering_head` gives.
      options: what the user tells of the task.
    """
    if head.kind == _PRETRAINED:
        return FillMask()
    if head.kind == "qa":
        return QuestionAnswering(unanswerable=options.get("null_threshold") is not None)
    if head.kind == "multiple_choice":
        return MultipleChoice()
    labels = tuple(head.labels)
    if head.kind == "labeling":
        return Labeling(labels=labels, tag_scheme=tag_schemes.detect([labels]).scheme)
    if head.problem_type == "regression":
        return Regression()
    of_problem = MultiLabel if head.problem_type == "multi_label_classification" else Classification
    return of_problem(labels=labels)
