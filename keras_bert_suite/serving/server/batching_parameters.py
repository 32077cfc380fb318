"""TF Serving's batching parameters, checked; needs no TensorFlow."""

from __future__ import annotations

import dataclasses
import os

from keras_bert_suite.serving.server.config_messages import read_text_file


@dataclasses.dataclass(frozen=True, kw_only=True)
class BatchingParameters:
    """How requests are joined to batches; the names are those of TF Serving's file.

    Attributes:
      max_batch_size: the most rows of a batch.
      batch_timeout_micros: how long the first request of a batch waits for others, microseconds.
        A batch also goes when it is full.
      max_enqueued_batches: batches that may wait for a thread; a request beyond gets UNAVAILABLE.
      num_batch_threads: batches that are computed at once.
      allowed_batch_sizes: rising, the last one max_batch_size; a batch is filled up to the next of
        them with copies of its first row. Empty for any size.
      enable_large_batch_splitting: a request of more than max_batch_size rows is split; otherwise
        it is refused.

    Raises:
      ValueError: a value out of range; names the field.
    """

    max_batch_size: int = 64
    batch_timeout_micros: int = 1000
    max_enqueued_batches: int = 16
    num_batch_threads: int = 2
    allowed_batch_sizes: tuple[int, ...] = ()
    enable_large_batch_splitting: bool = False

    def __post_init__(self):
        for field, least in (
            ("max_batch_size", 1),
            ("batch_timeout_micros", 0),
            ("max_enqueued_batches", 1),
            ("num_batch_threads", 1),
        ):
            value = getattr(self, field)
            if value < least:
                raise ValueError(f"{field} must be at least {least}. Received: {value}.")
        sizes = self.allowed_batch_sizes
        rising = all(a < b for a, b in zip((0, *sizes), sizes, strict=False))
        if sizes and (not rising or sizes[-1] != self.max_batch_size):
            raise ValueError(
                "allowed_batch_sizes must rise and end in max_batch_size. Received: "
                f"{list(sizes)} with max_batch_size={self.max_batch_size}."
            )

    def padded_size(self, rows: int) -> int:
        """The rows to compute for a batch of `rows`."""
        return next((size for size in self.allowed_batch_sizes if size >= rows), rows)

    @classmethod
    def from_file(cls, path: str | os.PathLike) -> BatchingParameters:
        """Reads a text-format BatchingParameters file; what it leaves out has our defaults.

        Raises:
          OSError: the file cannot be read.
          ValueError: no such message, a value out of range, or a field that is not supported.
        """
        message = read_text_file(path, "BatchingParameters")
        if message.pad_variable_length_inputs:
            raise ValueError(
                f"{path}: pad_variable_length_inputs is not supported: it fills rows up with each "
                "tensor's first element, which is [CLS] for token ids and 1 for masks, and changes "
                "the answers. Remedy: remove it, and batch on a text signature."
            )
        if message.HasField("max_execution_batch_size"):
            raise ValueError(
                f"{path}: max_execution_batch_size is not supported; large requests are split at "
                "max_batch_size. Remedy: remove it."
            )
        # thread_pool_name only names threads in TF Serving's own monitoring.
        values = {
            field.name: getattr(message, field.name).value
            for field in dataclasses.fields(cls)
            if field.name != "allowed_batch_sizes" and message.HasField(field.name)
        }
        try:
            return cls(allowed_batch_sizes=tuple(message.allowed_batch_sizes), **values)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error
