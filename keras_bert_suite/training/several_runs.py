"""Several seeds and learning rates: a run for each, the best one's model, mean and deviation."""

from __future__ import annotations

import gc
import shutil
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_bert_suite.checkpoints.model_directory import write_json
from keras_bert_suite.files import atomic_write
from keras_bert_suite.training.finetune_settings import FinetuneSettings

_OTHER = "other_dev_files"
# What a run leaves that belongs to its training, not to its result.
_OF_TRAINING = ("checkpoints", "logs", "log.jsonl", "metrics.json", "config.json")


def finetune_several(
    settings: FinetuneSettings,
    *,
    finetune: Callable[..., Any],
    say: Callable[[str], None],
) -> Any:
    """Runs all of `settings.runs()`; the directory of each stays below output_dir/runs/.

    The learning rate with the best mean over its seeds wins, and of its seeds the best; that run's
    files become the result. metrics.json has its numbers, "mean" and "deviation" (of a sample, over
    the seeds of this rate) and "runs". The same command goes on where it was interrupted: a
    finished run is only scored again.

    Args:
      settings: with several seeds or learning rates.
      finetune: does one run, see finetuning.finetune.
      say: takes lines for people.

    Returns:
      The result of the best run, with the numbers of all; or of the run that was interrupted.
    """
    runs, results = settings.runs(), []
    for number, run in enumerate(runs, start=1):
        say(
            f"run {number} of {len(runs)}: learning rate {run.learning_rate:g}, seed {run.seed}, "
            f"in {run.output_dir}"
        )
        result = finetune(run, say=say)
        if result.training.interrupted and result.metrics is not None:  # in its last steps
            say(f"run {number} is finished; the same command goes on with the others.")
        if result.training.interrupted or result.metrics is None:
            return result
        results.append(result)
        # The graphs of a run, and the optimizer with them, would stay in the memory.
        keras.utils.clear_session()
        gc.collect()
    best_by = results[0].task.best_by
    best = _best([run.learning_rate for run in runs], [r.metrics[best_by] for r in results])
    same_rate = [
        result.metrics
        for run, result in zip(runs, results, strict=True)
        if run.learning_rate == runs[best].learning_rate
    ]
    metrics = {
        **results[best].metrics,
        "learning_rate": runs[best].learning_rate,
        "seed": runs[best].seed,
        **_mean_and_deviation(same_rate),
        "runs": [_of_run(run, result) for run, result in zip(runs, results, strict=True)],
    }
    _copy_result(Path(runs[best].output_dir), Path(settings.output_dir), metrics)
    for line in table(metrics, best_by):
        say(line)
    return results[best].of_several(metrics)


def _best(rates: Sequence[float], scores: Sequence[float]) -> int:
    """The place of the best score among those of the rate with the best mean."""
    by_rate: dict[float, list[float]] = {}
    for rate, score in zip(rates, scores, strict=True):
        by_rate.setdefault(rate, []).append(score)
    best_rate = max(by_rate, key=lambda rate: statistics.fmean(by_rate[rate]))
    return max(
        (place for place, rate in enumerate(rates) if rate == best_rate),
        key=lambda place: scores[place],
    )


def _numbers(metrics: Mapping[str, Any]) -> dict[str, float]:
    return {name: value for name, value in metrics.items() if isinstance(value, float)}


def _mean_and_deviation(metrics: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """{"mean", "deviation"}: of each number, those of the other dev files by file."""
    columns = {
        name: [one[name] for one in metrics]
        for name in _numbers(metrics[0])
        if all(isinstance(one.get(name), float) for one in metrics)
    }
    spread = statistics.stdev if len(metrics) > 1 else lambda values: 0.0
    found: dict[str, dict[str, Any]] = {
        "mean": {name: statistics.fmean(values) for name, values in columns.items()},
        "deviation": {name: spread(values) for name, values in columns.items()},
    }
    for path in metrics[0].get(_OTHER, ()):
        of_file = _mean_and_deviation([one[_OTHER][path] for one in metrics])
        for what, numbers in of_file.items():
            found[what].setdefault(_OTHER, {})[path] = numbers
    return found


def _of_run(run: FinetuneSettings, result: Any) -> dict[str, Any]:
    return {
        "learning_rate": run.learning_rate,
        "seed": run.seed,
        "directory": f"runs/{Path(run.output_dir).name}",
        "seconds": result.training.seconds,
        **_numbers(result.metrics),
        **{key: _by_file(value) for key, value in result.metrics.items() if key == _OTHER},
    }


def _by_file(metrics: Mapping[str, Any]) -> dict[str, Any]:
    return {path: _numbers(numbers) for path, numbers in metrics.items()}


def table(metrics: Mapping[str, Any], best_by: str) -> list[str]:
    """The runs' scores as lines of a fixed width, with mean and deviation of the best rate."""
    lines = [f"learning rate   seed  {best_by}"]
    lines += [
        f"{run['learning_rate']:13g}  {run['seed']:5d}  {run[best_by]:.4f}"
        for run in metrics["runs"]
    ]
    mean, spread = metrics["mean"], metrics["deviation"]
    lines.append(
        f"{metrics['learning_rate']:13g}   mean  {mean[best_by]:.4f} +- {spread[best_by]:.4f}"
    )
    for path, numbers in mean.get(_OTHER, {}).items():
        if best_by in numbers:
            deviation = spread[_OTHER][path][best_by]
            lines.append(f"{'':13}   mean  {numbers[best_by]:.4f} +- {deviation:.4f} of {path}")
    return lines


def _copy_result(source: Path, target: Path, metrics: Mapping[str, Any]) -> None:
    """Copies a run's result; config.json last, since a directory with it is a model directory."""
    files = [path for path in sorted(source.iterdir()) if path.name not in _OF_TRAINING]
    for path in [*files, source / "config.json"]:
        if path.is_dir():
            shutil.copytree(path, target / path.name, dirs_exist_ok=True)
            continue
        with atomic_write(target / path.name, "wb") as file, path.open("rb") as original:
            shutil.copyfileobj(original, file)
    write_json(target, "metrics.json", metrics)
