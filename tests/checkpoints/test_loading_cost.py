"""What loading BERT-base costs, beside reading its file and copying the weights once.

Ratios of medians, the two measured in turns; memory in fresh processes, above what the process has
after the imports and one small model. Reading alone is the safetensors library's `load_file`.
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time

import pytest
from safetensors.numpy import load_file

from keras_bert_suite.checkpoints.model_directory import load_encoder, save_model
from keras_bert_suite.config import EncoderConfig
from keras_bert_suite.models.encoder import Encoder

pytestmark = pytest.mark.slow

_LIMIT = 1.3
_TURNS = 9

# Both processes import all and load a small model first; then the largest memory is counted anew.
_PROCESS = """
import sys
from pathlib import Path
from safetensors.numpy import load_file
from keras_bert_suite.checkpoints.model_directory import load_encoder

def peak():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM"))

def read(folder):
    tensors = load_file(f"{folder}/model.safetensors")
    return {name: tensor.copy() for name, tensor in tensors.items()}

task, small, base = sys.argv[1:]
work = load_encoder if task == "load" else read
work(small)
Path("/proc/self/clear_refs").write_text("5")
before = peak()
kept = work(base)
print(peak() - before)
"""


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Saved encoders: a small one, and BERT-base."""
    root = tmp_path_factory.mktemp("cost")
    for name in ("tiny", "base"):
        save_model(Encoder(EncoderConfig.from_name(name)), root / name)
    return root / "tiny", root / "base"


def _read(folder):
    tensors = load_file(folder / "model.safetensors")
    return {name: tensor.copy() for name, tensor in tensors.items()}


def _seconds(work, folder):
    start = time.perf_counter()
    result = work(folder)
    seconds = time.perf_counter() - start
    del result  # not within the time
    return seconds


def test_time(folders):
    small, base = folders
    for work in (_read, load_encoder):  # imports, the file into the page cache
        work(small), work(base)
    turns = [(_seconds(load_encoder, base), _seconds(_read, base)) for _ in range(_TURNS)]
    load, read = (statistics.median(column) for column in zip(*turns, strict=True))
    print(f"loading takes {load:.3f} s, reading {read:.3f} s: ratio {load / read:.2f}")
    assert load / read <= _LIMIT


def test_memory(folders):
    small, base = folders

    def kilobytes(task):
        command = [sys.executable, "-c", _PROCESS, task, str(small), str(base)]
        return int(subprocess.run(command, capture_output=True, text=True, check=True).stdout)

    turns = [(kilobytes("load"), kilobytes("read")) for _ in range(3)]
    load, read = (statistics.median(column) for column in zip(*turns, strict=True))
    print(f"loading takes {load / 1024:.0f} MiB, reading {read / 1024:.0f}: {load / read:.2f}")
    # What is read and its copy are there at once; a result that is smaller would be no measure.
    assert read * 1024 > 1.9 * (base / "model.safetensors").stat().st_size
    assert load / read <= _LIMIT
