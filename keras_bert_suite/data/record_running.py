"""Making records on this machine or by a Beam runner: the same records either way."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any


def run_record_making(
    pattern: str,
    *,
    runner: str | None,
    pipeline_options: Sequence[str] = (),
    on_bytes: Callable[[int], None] | None = None,
    **arguments: Any,
) -> dict[str, Any]:
    """Calls `record_making.make_records`, or with a runner `beam_records.make_records_with_beam`.

    Args:
      pattern: glob of the input.
      runner: None for this machine, or a runner of Beam.
      pipeline_options: for Beam; not allowed without it.
      on_bytes: called with the number of bytes read, on this machine alone.
      **arguments: of both functions.

    Raises:
      ValueError: `pipeline_options` without a runner; and what the functions raise.
    """
    if runner is not None:
        # Late: Beam need not be installed.
        from keras_bert_suite.data.beam_records import make_records_with_beam

        return make_records_with_beam(
            pattern, runner=runner, pipeline_options=pipeline_options, **arguments
        )
    if pipeline_options:
        raise ValueError(
            f"Only options of a --runner may stand alone. Received: {' '.join(pipeline_options)}. "
            "Remedy: write --flag=value, quote globs, or name the runner."
        )
    from keras_bert_suite.data.record_making import make_records

    return make_records(pattern, on_bytes=on_bytes, **arguments)
