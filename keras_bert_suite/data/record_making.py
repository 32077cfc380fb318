"""Text files -> a directory of token records, by several processes.

This process reads the files in blocks; workers encode tasks of some blocks to temporary files, and
then merge these to shards. A document's shard, its place in it and whether it is held out follow
from its text alone, so that the output is the same byte for byte for any number of workers, and
equal to that of `beam_records`. Memory: some megabytes of text for each worker, and in the end one
shard for each.

Measured by `bin/benchmark.py --suites=data`, on one core each and in turns with google-research's
create_pretraining_data.py (dupe_factor=1), start-up left out: 21.7 times its MB/s on docstrings,
24.1 times on the ELTeC novels (9.6 MB/s against 0.40). Memory for 10 and 100 MB of text: 758 and
760 MB.
"""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.data import records
from keras_bert_suite.data.blocks import BLOCK_BYTES, read_blocks
from keras_bert_suite.data.corpus_statistics import CorpusStatistics
from keras_bert_suite.data.document_encoding import MAX_RECORD_TOKENS, EncodingOptions
from keras_bert_suite.data.document_reading import Block, TextForm
from keras_bert_suite.data.documents import expand_files
from keras_bert_suite.data.record_job import (
    IN_PROGRESS,
    RecordJob,
    is_unfinished,
    read_footer,
)
from keras_bert_suite.data.record_workers import (
    Call,
    EncodingCall,
    InProcess,
    Workers,
    merge_shard,
)

_BYTES_PER_WORKER = 16_000_000
_BYTES_PER_SHARD = 64_000_000
# A large corpus gets tasks of several blocks, so that the temporary files do not become too many.
_BLOCKS_OF_A_TASK = 8
_BYTES_PER_BLOCK_OF_A_TASK = 1 << 28
_OWN_FILE = re.compile(r"(train|eval)-\d{5}-of-\d{5}\.tfrecord|" + re.escape(records.STATS_FILE))


def default_workers(input_bytes: int) -> int:
    """Gives the processes that pay for their start: one for each 16 MB, at most one a CPU."""
    return max(1, min(len(os.sched_getaffinity(0)), input_bytes // _BYTES_PER_WORKER))


def default_shards(input_bytes: int) -> int:
    """Gives 8 training shards, or more for a large corpus: one for each 64 MB of input."""
    return max(8, min(99_999, input_bytes // _BYTES_PER_SHARD))


def make_records(
    pattern: str,
    *,
    make_tokenizer: Callable[[], Any],
    output_dir: str | os.PathLike,
    deduplicate: bool = False,
    num_shards: int | None = None,
    workers: int | None = 1,
    overwrite: bool = False,
    on_bytes: Callable[[int], None] | None = None,
    **encoding: Any,
) -> dict[str, Any]:
    """Writes the token records of a corpus and gives back its statistics (stats.json).

    A shard appears in the directory when it is complete, stats.json when all are. A run that was
    killed or interrupted goes on where it was when it is started again with the same arguments.

    Args:
      pattern: glob of text files (see `documents.expand_files`).
      make_tokenizer: makes the tokenizer; called in every worker, so it must be picklable.
      output_dir: gets `train-*.tfrecord`, `eval-*.tfrecord` (with eval_fraction) and stats.json.
      deduplicate: whether of documents with equal text the first alone is kept.
      num_shards: training shards; by default as `default_shards` says.
      workers: processes; 1 works in this process; None for as many as `default_workers` says.
      overwrite: replace an existing record directory; its files stay until the new ones are made.
      on_bytes: called with the number of bytes of text read.
      **encoding: the attributes of `EncodingOptions`.

    Raises:
      ValueError: a wrong option, bad input (file and line), a non-empty output_dir without
        `overwrite` (or one that holds other files), no document left in a split. Nothing is then
        left in output_dir but what was there before.
      OSError: reading or writing failed, or a worker died; what is done is kept for another run.
    """
    inputs = expand_files(pattern, directories=True)
    num_shards = default_shards(_size(inputs)) if num_shards is None else num_shards
    options = EncodingOptions(num_shards=num_shards, **encoding)
    workers = default_workers(_size(inputs)) if workers is None else workers
    if workers < 1:
        raise ValueError(f"workers must be at least 1. Received: {workers}.")
    output = Path(output_dir)
    if output.exists() and not output.is_dir():
        raise ValueError(f"output_dir must be a directory. Received: the file {output}.")
    present = [path.name for path in output.iterdir()] if output.exists() else []
    check_output(output, present, overwrite=overwrite or is_unfinished(output))
    tokenizer = make_tokenizer()
    settings = _settings(tokenizer, options, deduplicate, inputs)
    job = RecordJob(output, settings, overwrite=overwrite)
    try:
        with Workers(workers) if workers > 1 else InProcess() as pool:
            if not job.all_encoded:
                # In this process the tokenizer is there already.
                make = make_tokenizer if workers > 1 else lambda: tokenizer
                encode = EncodingCall(make, options)
                calls = _encoding_calls(job, encode, inputs, options.form, on_bytes)
                for _ in pool.run(calls):
                    pass
                job.mark_encoded()
            footers = {path: read_footer(path) for path in job.tasks()}
            check_not_empty(footers.values(), options, pattern)
            for _ in pool.run(_merging_calls(job, footers, options, deduplicate)):
                pass
        statistics = {
            name: CorpusStatistics.from_json(json.loads(job.state_path(name).read_text()))
            for name in options.shard_names
        }
        stats = stats_of(tokenizer, options, deduplicate, statistics)
        job.finish(stats)
    except ValueError:
        job.remove()
        raise
    finally:
        job.close()
    return stats


def stats_of(
    tokenizer: Any,
    options: EncodingOptions,
    deduplicate: bool,
    statistics: Mapping[str, CorpusStatistics],
) -> dict[str, Any]:
    """Gives what stats.json holds; `statistics` has one entry a shard."""
    return {
        "tokenizer": records.vocabulary_fingerprint(tokenizer),
        "sentences": options.sentences,
        "filters": {**dataclasses.asdict(options.filters), "deduplicate": deduplicate},
        "eval_fraction": options.eval_fraction,
        "shards": options.shard_counts,
        "max_record_tokens": MAX_RECORD_TOKENS,
        **{
            split: CorpusStatistics.merged(
                of_shard for name, of_shard in statistics.items() if name.startswith(f"{split}-")
            ).summary()
            for split in options.shard_counts
        },
    }


def check_output(output: Any, present: Sequence[str], *, overwrite: bool) -> None:
    """Raises ValueError where no records may be written: beside other files, over finished ones.

    Args:
      output: the directory, for the message.
      present: names of what is in it.
      overwrite: whether finished records may be replaced.
    """
    names = sorted(set(present) - {IN_PROGRESS})
    others = [name for name in names if not _OWN_FILE.fullmatch(name)]
    if others:
        raise ValueError(
            f"{output} holds files that are no token records ({', '.join(others[:3])}); it is "
            "never replaced. Remedy: choose a new output_dir."
        )
    if names and not overwrite:
        raise ValueError(
            f"{output} holds the records of another run. Remedy: choose a new output_dir, or "
            "replace them as a whole with --overwrite."
        )


def check_not_empty(footers: Any, options: EncodingOptions, pattern: str) -> None:
    """Raises ValueError where a split has no record."""
    written = dict.fromkeys(options.shard_counts, 0)
    for footer in footers:
        for name, count in footer["records"].items():
            written[name.partition("-")[0]] += count
    for split, count in written.items():
        if not count:
            raise ValueError(
                f"No document with text for the {split} records: {pattern} gave "
                f"{sum(written.values())} records. Remedy: give more documents, relax the filters "
                f"or change --eval_fraction ({options.eval_fraction})."
            )


def _size(inputs: Sequence[str]) -> int:
    return sum(map(os.path.getsize, inputs))


def _settings(
    tokenizer: Any, options: EncodingOptions, deduplicate: bool, inputs: Sequence[str]
) -> dict[str, Any]:
    states = [(os.path.abspath(path), os.stat(path)) for path in inputs]
    return {
        "tokenizer": records.vocabulary_fingerprint(tokenizer),
        **dataclasses.asdict(options),
        "deduplicate": deduplicate,
        "input_files": [(path, state.st_size, state.st_mtime_ns) for path, state in states],
    }


def _encoding_calls(
    job: RecordJob,
    encode: EncodingCall,
    inputs: Sequence[str],
    form: TextForm,
    on_bytes: Callable[[int], None] | None,
) -> Iterator[Call]:
    """The tasks that are not done. How they are cut must depend on the input alone."""
    total = _size(inputs)
    size = BLOCK_BYTES * max(1, min(_BLOCKS_OF_A_TASK, total // _BYTES_PER_BLOCK_OF_A_TASK))
    for number, blocks in enumerate(_tasks(inputs, form, size)):
        if on_bytes is not None:
            on_bytes(sum(block.num_bytes for block in blocks))
        path = job.task_path(number)
        if not path.exists():
            yield encode, (path, blocks)


def _tasks(inputs: Sequence[str], form: TextForm, size: int) -> Iterator[list[Block]]:
    """Groups blocks to tasks of `size` bytes or a little more."""
    task: list[Block] = []
    num_bytes = 0
    for file, path in enumerate(inputs):
        for block in read_blocks(path, form=form, file=file):
            task.append(block)
            num_bytes += block.num_bytes
            if num_bytes >= size:
                yield task
                task, num_bytes = [], 0
    if task:
        yield task


def _merging_calls(
    job: RecordJob,
    footers: Mapping[Path, dict[str, Any]],
    options: EncodingOptions,
    deduplicate: bool,
) -> Iterator[Call]:
    for name in job.unfinished_shards(options.shard_names):
        places = [
            (path, footer["places"][name])
            for path, footer in footers.items()
            if name in footer["places"]
        ]
        partial = job.directory / f"{name}.partial"
        merge = functools.partial(merge_shard, deduplicate=deduplicate)
        yield merge, (job.shard_path(name), job.state_path(name), partial, places)
