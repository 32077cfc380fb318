"""Text files -> token records as an Apache Beam pipeline: the transforms of `record_making`.

Beam does the distribution and the recovery. Blocks of the files are encoded wherever there is a
worker, grouped by the name of their shard, and each group is merged to the bytes that
`record_making` writes. Paths may be of any file system that Beam knows (gs://, s3://, hdfs://).

What was run is the DirectRunner. DataflowRunner, FlinkRunner and SparkRunner get the same pipeline
and Beam's own options, as Beam documents them; they were not run with this package. Their workers
need it installed: https://beam.apache.org/documentation/sdks/python-pipeline-dependencies/
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

try:
    import apache_beam as beam
    from apache_beam.io.filesystems import FileSystems
    from apache_beam.options.pipeline_options import PipelineOptions
except ImportError as missing:
    raise ValueError(
        f"--runner needs Apache Beam, which is not installed ({missing}). Remedy: pip install "
        "'keras-bert-suite[beam]', or leave --runner out to work on this machine alone."
    ) from missing

from keras_bert_suite.data import beam_files, record_making
from keras_bert_suite.data.blocks import read_blocks
from keras_bert_suite.data.carried_tokenizer import CarriedTokenizer
from keras_bert_suite.data.corpus_statistics import CorpusStatistics
from keras_bert_suite.data.document_encoding import DocumentEncoder, EncodingOptions
from keras_bert_suite.data.document_reading import Block
from keras_bert_suite.data.encoded_runs import EncodedRun
from keras_bert_suite.data.record_job import IN_PROGRESS
from keras_bert_suite.data.records import STATS_FILE
from keras_bert_suite.data.shard_merging import shard_state, write_merged

RUNNERS = ("DirectRunner", "DataflowRunner", "FlinkRunner", "SparkRunner")
# The DirectRunner that is written in Python. The name DirectRunner would first try to download
# another program, and run this one when it cannot.
_IN_PYTHON = "FnApiRunner"
# How an error of our own comes out of a pipeline, whatever the runner puts around it.
_MARKED = "bad input <<{}>>"
_MARK = re.compile(r"bad input <<(.*?)>>", re.DOTALL)


def make_records_with_beam(
    pattern: str,
    *,
    make_tokenizer: Callable[[], Any],
    output_dir: str | os.PathLike,
    runner: str,
    pipeline_options: Sequence[str] = (),
    deduplicate: bool = False,
    num_shards: int | None = None,
    workers: int | None = 1,
    overwrite: bool = False,
    **encoding: Any,
) -> dict[str, Any]:
    """Writes what `record_making.make_records` writes, byte for byte, and gives its statistics.

    The shards appear when the pipeline is done, stats.json last. Recovery within a run is Beam's; a
    run that failed as a whole begins anew.

    Args:
      runner: one of RUNNERS.
      pipeline_options: options of Beam and of the runner, such as `--project=...`.
      workers: processes of the DirectRunner; the other runners have options of their own.
      pattern, make_tokenizer, output_dir, deduplicate, num_shards, overwrite, **encoding: as for
        `record_making.make_records`.

    Raises:
      ValueError: an unknown runner or option; and as for `record_making.make_records`. Nothing is
        then left in output_dir but what was there before.
      OSError: reading or writing failed.
    """
    inputs = beam_files.matched(pattern)
    size = sum(num_bytes for _, num_bytes in inputs)
    if num_shards is None:
        num_shards = record_making.default_shards(size)
    workers = record_making.default_workers(size) if workers is None else workers
    options = EncodingOptions(num_shards=num_shards, **encoding)
    arguments = _pipeline_arguments(runner, pipeline_options, workers)
    output = os.fspath(output_dir)
    present = beam_files.names_in(output)
    record_making.check_output(output, present, overwrite=overwrite)
    tokenizer = make_tokenizer()
    work = FileSystems.join(output, IN_PROGRESS)
    try:
        beam_files.remove([work])
        beam_files.make_directory(work)
        with beam.Pipeline(options=arguments) as pipeline:
            encode = _Encode(CarriedTokenizer(tokenizer), options)
            read = _ReadBlocks(options)
            write = _WriteShard(work, deduplicate)
            paths = [path for path, _ in inputs]
            _build(pipeline, paths, options.shard_names, read=read, encode=encode, write=write)
        statistics = {name: _statistics(work, name) for name in options.shard_names}
        records = {name: of_shard.records for name, of_shard in statistics.items()}
        record_making.check_not_empty([{"records": records}], options, pattern)
        stats = record_making.stats_of(tokenizer, options, deduplicate, statistics)
        _publish(output, work, options.shard_names, present, stats)
        beam_files.remove([work])
        return stats
    except Exception as error:
        beam_files.remove([work] if present else [output])
        if marked := _MARK.search(str(error)):
            raise ValueError(marked[1]) from error
        raise


def _pipeline_arguments(runner: str, more: Sequence[str], workers: int) -> PipelineOptions:
    if runner not in RUNNERS:
        raise ValueError(f"runner must be one of {', '.join(RUNNERS)}. Received: {runner!r}.")
    if workers < 1:
        raise ValueError(f"workers must be at least 1. Received: {workers}.")
    if runner != "DirectRunner":
        # Options that Beam does not know are handed to the cluster.
        return PipelineOptions([f"--runner={runner}", *more])
    arguments = [f"--runner={_IN_PYTHON}", f"--direct_num_workers={workers}"]
    if workers > 1:
        arguments.append("--direct_running_mode=multi_processing")
    known = PipelineOptions([*arguments, *more])
    retained = known.get_all_options(retain_unknown_options=True)
    if unknown := sorted(set(retained) - set(known.get_all_options())):
        raise ValueError(
            f"After -- stand options of Beam. Received: {', '.join(unknown)}, which the "
            "DirectRunner does not have."
        )
    return known


def _build(
    pipeline: Any,
    paths: Sequence[str],
    shard_names: Sequence[str],
    *,
    read: Callable,
    encode: Callable,
    write: Callable,
) -> None:
    runs = (
        pipeline
        | "Files" >> beam.Create(list(enumerate(paths)))
        | "SpreadFiles" >> beam.Reshuffle()
        | "ReadBlocks" >> beam.FlatMap(read)
        | "SpreadBlocks" >> beam.Reshuffle()
        | "Encode" >> beam.FlatMap(encode).with_output_types(tuple[str, bytes])
    )
    # Shards without documents are written too.
    nothing = pipeline | "Shards" >> beam.Create([(name, b"") for name in shard_names])
    _ = (
        (runs, nothing)
        | "Together" >> beam.Flatten()
        | "ByShard" >> beam.GroupByKey()
        | "WriteShard" >> beam.Map(write)
    )


class _ReadBlocks:
    """(place, path) -> blocks."""

    def __init__(self, options: EncodingOptions):
        self._form = options.form

    def __call__(self, file: tuple[int, str]) -> Iterator[Block]:
        place, path = file
        try:
            yield from read_blocks(
                path, form=self._form, file=place, open_file=beam_files.open_file
            )
        except ValueError as error:
            raise ValueError(_MARKED.format(error)) from error


class _Encode:
    """Block -> (shard name, bytes of an encoded run); the tokenizer is made once a process."""

    def __init__(self, make_tokenizer: CarriedTokenizer, options: EncodingOptions):
        self._make_tokenizer = make_tokenizer
        self._options = options
        self._encoder: DocumentEncoder | None = None

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, "_encoder": None}

    def __call__(self, block: Block) -> list[tuple[str, bytes]]:
        if self._encoder is None:
            self._encoder = DocumentEncoder(self._make_tokenizer(), self._options)
        try:
            runs = self._encoder.encode([block])
        except ValueError as error:
            raise ValueError(_MARKED.format(error)) from error
        return [(name, run.to_bytes()) for name, run in runs.items()]


class _WriteShard:
    """(shard name, bytes of its runs) -> files of the shard and of its statistics."""

    def __init__(self, directory: str, deduplicate: bool):
        self._directory = directory
        self._deduplicate = deduplicate

    def __call__(self, shard: tuple[str, Iterable[bytes]]) -> None:
        name, encoded = shard
        runs = [EncodedRun.from_bytes(data) for data in encoded if data]
        with tempfile.TemporaryDirectory() as here:
            local = os.path.join(here, name)
            statistics = write_merged(local, runs, deduplicate=self._deduplicate)
            with open(local, "rb") as stream:
                beam_files.write(FileSystems.join(self._directory, name), stream.read())
        state = shard_state(statistics).encode()
        beam_files.write(FileSystems.join(self._directory, f"{name}.json"), state)


def _statistics(work: str, name: str) -> CorpusStatistics:
    with beam_files.open_file(FileSystems.join(work, f"{name}.json")) as stream:
        return CorpusStatistics.from_json(json.loads(stream.read()))


def _publish(
    output: str, work: str, names: Sequence[str], present: Sequence[str], stats: dict[str, Any]
) -> None:
    beam_files.remove([FileSystems.join(output, name) for name in present if name != IN_PROGRESS])
    FileSystems.rename(
        [FileSystems.join(work, name) for name in names],
        [FileSystems.join(output, name) for name in names],
    )
    text = json.dumps(stats, indent=2) + "\n"
    beam_files.write(FileSystems.join(output, STATS_FILE), text.encode())
