"""What went wrong, as files for people: the surest errors first, and who was taken for whom."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_MOST_LABELS_DRAWN = 200


def error_lines(errors: Iterable[Mapping[str, Any]], *, by: str) -> str:
    """JSON lines of errors, the largest number in `by` first."""
    ordered = sorted(errors, key=lambda error: -error[by])
    return "".join(json.dumps(error, ensure_ascii=False) + "\n" for error in ordered)


def confusion_files(
    gold: Sequence[str], predicted: Sequence[str], labels: Sequence[str]
) -> dict[str, str]:
    """{"confusion.svg": the picture}, unless there are too many labels to be seen."""
    import numpy as np

    from keras_bert_suite.evaluation.classification import confusion_matrix
    from keras_bert_suite.evaluation.confusion_picture import confusion_svg

    if not gold or len(labels) > _MOST_LABELS_DRAWN:
        return {}
    ids = {label: number for number, label in enumerate(labels)}
    sides = (np.array([ids[label] for label in side]) for side in (gold, predicted))
    return {"confusion.svg": confusion_svg(confusion_matrix(*sides, num_labels=len(ids)), labels)}
