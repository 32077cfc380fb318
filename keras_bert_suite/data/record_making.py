"""Text files -> a directory of token records, by several processes and in a fixed order.

The parent reads documents and writes shards; workers split sentences and tokenize chunks of
documents. Results are written in the order of the input, and a document's shard and its place in
the held-out part follow from its text alone, so that the output is the same byte for byte for any
number of workers.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from keras_bert_suite import files
from keras_bert_suite.data import records
from keras_bert_suite.data.corpus_statistics import CorpusStatistics
from keras_bert_suite.data.document_encoding import (
    MAX_RECORD_TOKENS,
    DocumentEncoder,
    EncodedPart,
    encoded_by_workers,
)
from keras_bert_suite.data.documents import (
    SENTENCE_MODES,
    Document,
    expand_files,
    read_documents,
)

_CHUNK_CHARACTERS = 1 << 18
_BYTES_PER_WORKER = 16_000_000
_OWN_FILE = re.compile(r"(train|eval)-\d{5}-of-\d{5}\.tfrecord|" + re.escape(records.STATS_FILE))


def default_workers(pattern: str) -> int:
    """Gives the processes that pay for their start: one for each 16 MB, at most one a CPU."""
    size = sum(map(os.path.getsize, expand_files(pattern)))
    return max(1, min(os.cpu_count() or 1, size // _BYTES_PER_WORKER))


def make_records(
    pattern: str,
    *,
    make_tokenizer: Callable[[], Any],
    output_dir: str | os.PathLike,
    num_shards: int = 8,
    workers: int = 1,
    sentences: str = "split",
    eval_fraction: float = 0.0,
    overwrite: bool = False,
    on_bytes: Callable[[int], None] | None = None,
) -> dict[str, Any]:
    """Writes the token records of a corpus and gives back its statistics (stats.json).

    The directory appears as a whole when everything is written, or not at all.

    Args:
      pattern: glob of text files (see `documents.expand_files`).
      make_tokenizer: makes the tokenizer; called in every worker, so it must be picklable.
      output_dir: gets `train-*.tfrecord`, `eval-*.tfrecord` (with eval_fraction) and stats.json.
      num_shards: training shards; a document's shard follows from its text. Held-out documents get
        the same share of shards as of documents, at least one.
      workers: processes; 1 works in this process.
      sentences: "split" (paragraphs are split) or "lines" (a line is a sentence).
      eval_fraction: share of documents held out, in [0, 1), chosen by a hash of their text: equal
        documents are never on both sides.
      overwrite: replace an existing record directory.
      on_bytes: called with the number of bytes of each line read.

    Raises:
      ValueError: a wrong option, bad input (file and line), a non-empty output_dir without
        `overwrite` (or one that holds other files), no document left in a split.
      OSError: reading or writing failed, or a worker died.
    """
    _check_options(num_shards, workers, sentences, eval_fraction)
    inputs = expand_files(pattern)
    output = Path(output_dir)
    _check_output(output, overwrite)
    tokenizer = make_tokenizer()
    counts = {"train": num_shards}
    if eval_fraction:
        counts["eval"] = max(1, round(num_shards * eval_fraction))
    documents = (d for path in inputs for d in read_documents(path, on_bytes=on_bytes))
    chunks = _chunks(documents)
    if workers == 1:
        encoded: Iterable[list[EncodedPart]] = map(
            DocumentEncoder(tokenizer, mode=sentences).encode, chunks
        )
    else:
        encoded = encoded_by_workers(chunks, make_tokenizer, sentences, workers)
    with files.atomic_directory(output) as directory:
        statistics = _write_shards(directory, encoded, counts, eval_fraction)
        stats = {
            "tokenizer": records.vocabulary_fingerprint(tokenizer),
            "sentences": sentences,
            "eval_fraction": eval_fraction,
            "shards": counts,
            "max_record_tokens": MAX_RECORD_TOKENS,
            **{split: s.summary() for split, s in statistics.items()},
        }
        _check_not_empty(stats, pattern)
        (directory / records.STATS_FILE).write_text(
            json.dumps(stats, indent=2) + "\n", encoding="utf-8"
        )
    return stats


def _check_options(num_shards: int, workers: int, sentences: str, eval_fraction: float) -> None:
    if num_shards < 1 or num_shards > 99_999:
        raise ValueError(f"num_shards must be in [1, 99999]. Received: {num_shards}.")
    if workers < 1:
        raise ValueError(f"workers must be at least 1. Received: {workers}.")
    if sentences not in SENTENCE_MODES:
        raise ValueError(
            f"sentences must be one of {', '.join(SENTENCE_MODES)}. Received: {sentences!r}."
        )
    if not 0.0 <= eval_fraction < 1.0:
        raise ValueError(f"eval_fraction must be in [0, 1). Received: {eval_fraction}.")


def _check_output(output: Path, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise ValueError(f"output_dir must be a directory. Received: the file {output}.")
    present = sorted(p.name for p in output.iterdir()) if output.exists() else []
    others = [name for name in present if not _OWN_FILE.fullmatch(name)]
    if others:
        raise ValueError(
            f"{output} holds files that are no token records ({', '.join(others[:3])}); it is "
            "never replaced. Remedy: choose a new output_dir."
        )
    if present and not overwrite:
        raise ValueError(
            f"{output} holds the records of another run. Remedy: choose a new output_dir, or "
            "replace them as a whole with --overwrite."
        )


def _check_not_empty(stats: dict[str, Any], pattern: str) -> None:
    for split in stats["shards"]:
        if stats[split]["documents"]:
            continue
        skipped = sum(stats[s]["skipped_documents"] for s in stats["shards"])
        written = sum(stats[s]["documents"] for s in stats["shards"])
        raise ValueError(
            f"No document with text for the {split} records: {pattern} gave {written} documents "
            f"({skipped} without text). Remedy: give more documents or change --eval_fraction "
            f"({stats['eval_fraction']})."
        )


def _chunks(documents: Iterator[Document]) -> Iterator[list[Document]]:
    """Groups documents to tasks of bounded size; the grouping does not depend on the workers."""
    chunk: list[Document] = []
    size = 0
    for document in documents:
        chunk.append(document)
        size += document.num_characters + 64
        if size >= _CHUNK_CHARACTERS:
            yield chunk
            chunk, size = [], 0
    if chunk:
        yield chunk


def _write_shards(
    directory: Path,
    encoded: Iterable[list[EncodedPart]],
    counts: dict[str, int],
    eval_fraction: float,
) -> dict[str, CorpusStatistics]:
    writers = {
        (split, index): records.ShardWriter(directory / records.shard_name(split, index, count))
        for split, count in counts.items()
        for index in range(count)
    }
    statistics = {split: CorpusStatistics() for split in counts}
    for part in (part for parts in encoded for part in parts):
        split = "eval" if part.held_out_draw < eval_fraction else "train"
        writer = writers[split, part.document_id % counts[split]]
        for record in part.records:
            writer.write(record)
        statistics[split].add_part(
            first=part.first,
            num_records=len(part.records),
            sentence_lengths=part.sentence_lengths,
            unknown_tokens=part.unknown_tokens,
        )
    for writer in writers.values():
        writer.close()
    return statistics
