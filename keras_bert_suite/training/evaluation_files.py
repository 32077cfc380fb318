"""What evaluation leaves in its output directory."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from keras_bert_suite.files import atomic_write
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.training.prediction import Evaluation


def write_evaluation(evaluation: Evaluation, output_dir: str | Path, *, task: Task) -> None:
    """Writes predictions.jsonl (a line an example), the task's own files, metrics.json last.

    Raises:
      OSError: something could not be written.
    """
    output_dir = Path(output_dir)
    with atomic_write(output_dir / "predictions.jsonl") as file:
        file.writelines(json.dumps(p, ensure_ascii=False) + "\n" for p in evaluation.predictions)
    for name, content in task.prediction_files(evaluation.predictions).items():
        _write(output_dir / name, content)
    _write_json(output_dir / "metrics.json", evaluation.metrics)


def score_predictions_file(
    predictions_file: str,
    output_dir: str | Path,
    *,
    task: Task,
    data_file: str | None = None,
    null_odds_file: str | None = None,
) -> Mapping[str, Any]:
    """Scores a file of predictions and writes metrics.json; gives the numbers.

    Raises:
      ValueError: what `Task.score_file` raises.
    """
    metrics = task.score_file(predictions_file, data_file=data_file, null_odds_file=null_odds_file)
    _write_json(Path(output_dir) / "metrics.json", metrics)
    return metrics


def _write(path: Path, content: Any) -> None:
    if not isinstance(content, str):
        _write_json(path, content)
        return
    with atomic_write(path) as file:
        file.write(content)


def _write_json(path: Path, value: Any) -> None:
    with atomic_write(path) as file:
        file.write(json.dumps(value, indent=2, ensure_ascii=False) + "\n")
