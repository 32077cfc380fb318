"""A ladder of pre-training methods: equal steps, several seeds, one downstream task, one table.

OUTPUT_DIR/vocabulary/, records/         made once
OUTPUT_DIR/RUNG/seed-N/pretrained/       a model directory
                       tuned/            the downstream task learned from it
                       result.json       the cell is finished
OUTPUT_DIR/ladder.json, ladder.md        the table
"""

from __future__ import annotations

import dataclasses
import functools
import gc
import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras

from keras_bert_suite.checkpoints.model_directory import write_json
from keras_bert_suite.data.document_reading import read_documents
from keras_bert_suite.data.documents import expand_files
from keras_bert_suite.data.record_making import make_records
from keras_bert_suite.data.records import STATS_FILE
from keras_bert_suite.files import atomic_write
from keras_bert_suite.tasks.task import Task
from keras_bert_suite.text.tokenizer import Tokenizer
from keras_bert_suite.text.vocabulary_training import make_vocabulary
from keras_bert_suite.training.checkpoint import settings_difference
from keras_bert_suite.training.finetune_settings import FinetuneSettings
from keras_bert_suite.training.finetuning import finetune
from keras_bert_suite.training.ladder_settings import RUNGS, LadderSettings
from keras_bert_suite.training.pretraining import pretrain
from keras_bert_suite.training.pretraining_settings import PretrainingSettings
from keras_bert_suite.tuning.full import FullTuning

_EVAL_FRACTION = 0.1
_SAME_FOR_ALL_CELLS = ("rungs", "seeds", "output_dir")


@dataclasses.dataclass(frozen=True)
class LadderOutcome:
    """What a call of `climb` came to.

    Attributes:
      table: Markdown; "" for a ladder that was interrupted.
      exit_status: 0, or 128 + the signal that stopped it.
    """

    table: str
    exit_status: int = 0


def climb(
    settings: LadderSettings, task: Task, *, say: Callable[[str], None] = lambda line: None
) -> LadderOutcome:
    """Pre-trains and fine-tunes every cell (rung, seed) that is not finished; writes the table.

    The rungs of one seed come first, so that an interrupted ladder can be compared already. An
    interrupted cell goes on from its newest state.

    Args:
      settings: of the ladder.
      task: the downstream task, not yet fitted; its `best_by` is what the table shows.
      say: called with lines for a person.

    Raises:
      ValueError: what `make_vocabulary`, `make_records`, `pretrain` and `finetune` raise, or cells
        in output_dir that other settings made.
      OSError: something could not be read or written.
    """
    output_dir = Path(settings.output_dir)
    tokenizer_dir = settings.tokenizer or str(output_dir / "vocabulary")
    _prepare(settings, tokenizer_dir, say)
    told = {
        key: value
        for key, value in dataclasses.asdict(settings).items()
        if key not in _SAME_FOR_ALL_CELLS
    }
    told = json.loads(json.dumps({**told, "task": task.to_config()}))
    cells: dict[str, list[dict[str, Any]]] = {rung: [] for rung in settings.rungs}
    for seed in range(settings.seeds):
        for rung in settings.rungs:
            cell = output_dir / rung / f"seed-{seed}"
            result = _finished(cell, told)
            if result is None:
                say(f"{rung}, seed {seed}")
                result, exit_status = _run(settings, task, cell, rung, seed, tokenizer_dir, say)
                if result is None:
                    return LadderOutcome("", exit_status)
                write_json(cell, "result.json", {"settings": told, **result})
            cells[rung].append(result)
    summary = summarize(cells, metric=cells[settings.rungs[0]][0]["metric"])
    table = as_markdown(summary, settings)
    write_json(output_dir, "ladder.json", {"settings": told, "rungs": summary})
    with atomic_write(output_dir / "ladder.md") as file:
        file.write(table)
    return LadderOutcome(table)


def summarize(
    cells: Mapping[str, Sequence[Mapping[str, Any]]], *, metric: str
) -> dict[str, dict[str, Any]]:
    """Gives the numbers of each rung.

    Args:
      cells: rung -> the results of its seeds, each with "mlm_loss" and "probe".
      metric: key of the probe's number.

    Returns:
      rung -> metric, mlm_loss (nats): each a dict of values (one a seed), mean and deviation (of
      the sample; None with one seed).
    """
    summary: dict[str, dict[str, Any]] = {}
    for rung, results in cells.items():
        columns = {
            metric: [float(result["probe"][metric]) for result in results],
            "mlm_loss": [float(result["mlm_loss"]) for result in results],
        }
        summary[rung] = {
            name: {
                "values": values,
                "mean": statistics.fmean(values),
                "deviation": statistics.stdev(values) if len(values) > 1 else None,
            }
            for name, values in columns.items()
        }
    return summary


def as_markdown(summary: Mapping[str, Mapping[str, Any]], settings: LadderSettings) -> str:
    """Gives the table for people; `summary` is from `summarize`."""
    names = list(next(iter(summary.values())))
    lines = [
        f"{settings.num_steps:,} steps of {settings.global_batch_size} rows, encoder "
        f"{settings.encoder}, seeds: {settings.seeds}; mean and deviation of the sample. Held-out "
        "losses (nats) are those of each rung's own masks and do not compare.",
        "",
        f"| rung | masking | objectives | {' | '.join(names)} |",
        "|---|---|---|" + "---|" * len(names),
    ]
    for rung, columns in summary.items():
        masking, objectives = RUNGS[rung]["masking"], "+".join(RUNGS[rung]["objectives"])
        numbers = [_shown(columns[name]) for name in names]
        lines.append(f"| {rung} | {masking} | {objectives} | {' | '.join(numbers)} |")
    return "\n".join(lines) + "\n"


def _shown(column: Mapping[str, Any]) -> str:
    deviation = column["deviation"]
    return f"{column['mean']:.4f}" + (f" ± {deviation:.4f}" if deviation is not None else "")


def _prepare(settings: LadderSettings, tokenizer_dir: str, say: Callable[[str], None]) -> None:
    """Makes the vocabulary and the records that are not there yet."""
    records = Path(settings.output_dir) / "records"
    if settings.tokenizer is None and not Path(tokenizer_dir).exists():
        say(f"Learning a vocabulary of {settings.vocab_size:,} entries")
        make_vocabulary(
            (
                "\n".join(document.paragraphs)
                for path in expand_files(settings.text)
                for document in read_documents(path)
            ),
            output_dir=tokenizer_dir,
            vocab_size=settings.vocab_size,
        )
    if not (records / STATS_FILE).exists():
        say("Making token records")
        make_records(
            settings.text,
            make_tokenizer=functools.partial(Tokenizer.from_directory, tokenizer_dir),
            output_dir=records,
            eval_fraction=_EVAL_FRACTION,
        )


def _finished(cell: Path, told: Mapping[str, Any]) -> dict[str, Any] | None:
    """The result of a cell that the same settings finished before."""
    path = cell / "result.json"
    if not path.exists():
        return None
    result = json.loads(path.read_text(encoding="utf-8"))
    difference = settings_difference(result["settings"], told)
    if difference:
        raise ValueError(
            f"{path} is of a ladder with other settings (old -> new): {'; '.join(difference)}. "
            "Remedy: choose another output_dir."
        )
    return result


def _run(
    settings: LadderSettings,
    task: Task,
    cell: Path,
    rung: str,
    seed: int,
    tokenizer_dir: str,
    say: Callable[[str], None],
) -> tuple[dict[str, Any] | None, int]:
    """Gives (the cell's result, 0), or (None, exit status) when it was interrupted."""
    records = Path(settings.output_dir) / "records"
    keras.backend.clear_session()  # The graphs of the cells before would fill the memory.
    gc.collect()
    pretraining = pretrain(
        PretrainingSettings(
            train_data=str(records / "train-*"),
            eval_data=str(records / "eval-*"),
            tokenizer=tokenizer_dir,
            output_dir=str(cell / "pretrained"),
            encoder=settings.encoder,
            sequence_length=settings.sequence_length,
            global_batch_size=settings.global_batch_size,
            num_steps=settings.num_steps,
            learning_rate=settings.learning_rate,
            seed=seed,
            keep_checkpoints=1,
            **RUNGS[rung],
        )
    )
    if pretraining.metrics is None:
        return None, pretraining.exit_status
    tuning = finetune(
        FinetuneSettings(
            task=task,
            tuning=FullTuning(),
            init_from=str(cell / "pretrained"),
            train_file=settings.train_file,
            dev_file=settings.dev_file,
            output_dir=str(cell / "tuned"),
            epochs=settings.epochs,
            learning_rate=settings.finetune_learning_rate,
            batch_size=settings.finetune_batch_size,
            sequence_length=settings.finetune_sequence_length,
            seed=seed,
        )
    )
    if tuning.training.interrupted:
        return None, tuning.training.exit_status
    probe = {k: v for k, v in tuning.metrics.items() if isinstance(v, int | float)}
    metric = tuning.task.best_by  # the fitted task's: the data may decide it
    say(f"{rung}, seed {seed}: {metric} {probe[metric]:.4f}")
    return {"mlm_loss": pretraining.metrics["mlm_loss"], "metric": metric, "probe": probe}, 0
