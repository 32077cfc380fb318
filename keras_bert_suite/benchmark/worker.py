"""The process of a contestant: JSON lines in, JSON lines out.

    {"do": "prepare", "contestant": MODULE, "options": {...}}  ->  {"versions": {...}}
    {"do": "run", "work": {...}}
        ->  {"seconds": S, "units": U, "peak_bytes": B, "notes": {...}}
        B: the most memory since it was prepared, beyond what it held then
    {"do": "outputs", "work": {...}, "file": PATH}  ->  {"written": true | false}  (.npy)

An answer {"error": MESSAGE} says that the request failed. The end of the input ends the process.

Run as a program it needs no more than Python's own library, so that the Python of any virtual
environment can be told to run this file; the package is found beside it, without its
site-packages.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path


def _find_package():
    """Makes `keras_bert_suite` importable, and nothing else that lies beside it."""
    directory = Path(__file__).resolve().parent.parent
    spec = importlib.util.spec_from_file_location(
        "keras_bert_suite",
        directory / "__init__.py",
        submodule_search_locations=[str(directory)],
    )
    package = importlib.util.module_from_spec(spec)
    sys.modules["keras_bert_suite"] = package
    spec.loader.exec_module(package)


if "keras_bert_suite" not in sys.modules:
    # At import and not in main: processes that a contestant spawns import this file too.
    if sys.path and Path(sys.path[0]).resolve() == Path(__file__).resolve().parent:
        del sys.path[0]  # its modules are not top-level ones
    _find_package()


_RESET_PEAK = "5"  # proc(5), /proc/pid/clear_refs


class Session:
    """Answers requests about one contestant."""

    def __init__(self):
        self._contestant = None
        self._prepared_bytes = 0

    def answer(self, request):
        """Returns the answer to a request, {"error": ...} where it failed."""
        try:
            return getattr(self, f"_{request['do']}")(request)
        except Exception as error:
            traceback.print_exc()  # to the log; the answer has one line
            return {"error": f"{type(error).__name__}: {error}"}

    def _prepare(self, request):
        name = request["contestant"]
        if "." not in name:
            name = f"keras_bert_suite.benchmark.contestants.{name}"
        self._contestant = importlib.import_module(name).Contestant(request["options"])
        # From here on the peak is that of the runs: loading may take more for a moment.
        with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
            file.write(_RESET_PEAK)
        self._prepared_bytes = _memory("VmRSS")
        return {"versions": _versions()}

    def _run(self, request):
        seconds, units, *notes = self._contestant.run(request["work"])
        peak = max(0, _memory("VmHWM") - self._prepared_bytes)
        notes = notes[0] if notes else {}
        return {"seconds": seconds, "units": units, "peak_bytes": peak, "notes": notes}

    def _outputs(self, request):
        outputs = getattr(self._contestant, "outputs", None)
        values = outputs(request["work"]) if outputs else None
        if values is None:
            return {"written": False}
        import numpy as np

        np.save(request["file"], np.asarray(values, np.float32))
        return {"written": True}


def _versions():
    """Versions of the libraries that the contestant imported."""
    names = ("tensorflow", "keras", "keras_hub", "torch", "transformers", "onnxruntime")
    names = (*names, "tokenizers", "tensorflow_text", "official", "keras_bert_suite")
    modules = {name: sys.modules.get(name) for name in names}
    found = {name: getattr(module, "__version__", None) for name, module in modules.items()}
    return {name: str(version) for name, version in found.items() if version}


def _memory(key):
    """A line of the kernel's own account, in bytes; getrusage's peak is inherited at a fork."""
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(f"{key}:"):
                return int(line.split()[1]) * 1024
    raise OSError(f"/proc/self/status has no {key}")


def main():
    # What libraries print must not come between the answers: it goes where errors go.
    answers = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    session = Session()
    for line in sys.stdin:
        print(json.dumps(session.answer(json.loads(line))), file=answers, flush=True)


if __name__ == "__main__":
    main()
