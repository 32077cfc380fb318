"""Runs suites and writes what came of them."""

from __future__ import annotations

import json
import os
import platform
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from keras_bert_suite.benchmark import picture, report, suites
from keras_bert_suite.benchmark.contest import run_cases
from keras_bert_suite.benchmark.materials import Materials, Settings, Texts
from keras_bert_suite.files import atomic_write

_THREAD_VARIABLES = (
    "OMP_NUM_THREADS",
    "RAYON_NUM_THREADS",
    "TF_NUM_INTEROP_THREADS",
    "TF_NUM_INTRAOP_THREADS",
)


def run_benchmark(
    names: Sequence[str],
    settings: Settings,
    *,
    output_dir: str | os.PathLike,
    rounds: int,
    command: str = "",
    say: Callable[[str], None] = lambda line: None,
) -> dict[str, Any]:
    """Runs suites one after the other; writes benchmark.json, .md and .png after each.

    Args:
      names: of the suites.
      settings: what the user told.
      output_dir: made if it is not there.
      rounds: how often each contestant's turn comes in each case.
      command: with which the benchmark was called, for the report.
      say: takes lines for people.

    Returns:
      What benchmark.json holds.

    Raises:
      ValueError: an unknown suite, no suite, a bad setting, or a contestant that fails.
      OSError: a file could not be written.
    """
    if not names:
        raise ValueError(f"Name at least one suite of {', '.join(suites.names())}.")
    chosen = [(name, suites.suite(name)) for name in names]
    results: dict[str, Any] = {
        "command": command,
        "machine": machine(),
        "rounds": rounds,
        "absent": absent(settings),
        "suites": [],
    }
    threads = settings.threads
    environment = {name: str(threads) for name in _THREAD_VARIABLES} if threads else {}
    with tempfile.TemporaryDirectory(prefix="kbs_benchmark_") as shared:
        texts = Texts(settings, Path(shared))
        for name, module in chosen:
            results["suites"].append(
                _run_suite(name, module, settings, texts, rounds, environment, say)
            )
            write(Path(output_dir), results)
    return results


def _run_suite(name, module, settings, texts, rounds, environment, say) -> dict[str, Any]:
    about = (module.__doc__ or "").strip().splitlines()[0]
    say(f"{name}: {about}")
    started = time.monotonic()
    # The models of a suite may be gigabytes: they go with it.
    with tempfile.TemporaryDirectory(prefix="kbs_benchmark_") as directory:
        cases = module.cases(Materials(settings, Path(directory), texts))
        outcomes = run_cases(cases, rounds=rounds, environment=environment, say=say)
    return {
        "name": name,
        "about": about,
        "seconds": time.monotonic() - started,
        "cases": [report.outcome_to_json(outcome) for outcome in outcomes],
    }


def write(output_dir: Path, results: dict[str, Any]) -> None:
    """Writes the files of a benchmark; the picture only where matplotlib is installed."""
    with atomic_write(output_dir / "benchmark.json") as file:
        json.dump(results, file, indent=1)
    with atomic_write(output_dir / "benchmark.md") as file:
        file.write(report.markdown(results))
    if picture.can_draw():
        picture.draw(output_dir / "benchmark.png", results)


def machine() -> dict[str, Any]:
    """What the figures depend on: processor, cores, system, load."""
    return {
        "processor": _processor(),
        "cores": len(os.sched_getaffinity(0)),
        "system": f"{platform.system()} {platform.release()}, Python {platform.python_version()}",
        "load": os.getloadavg()[0],
    }


def absent(settings: Settings) -> list[str]:
    """The peers that were not asked, and the flag that brings them."""
    peers = {
        "torch_python": "PyTorch with transformers",
        "onnx_python": "onnxruntime",
        "model_garden_python": "TensorFlow Model Garden",
        "google_bert_dir": "google-research/bert",
    }
    found = [f"{who} (--{flag})" for flag, who in peers.items() if not getattr(settings, flag)]
    return found if picture.can_draw() else [*found, "the picture (install matplotlib)"]


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass  # another system; its own name is less telling
    return platform.processor() or platform.machine()
