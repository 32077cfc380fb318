"""Another contestant in a process that is new each time: import, loading and the first answer."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path

_WORKER = Path(__file__).resolve().parent.parent / "worker.py"


class Contestant:
    """A unit is a start. Options: contestant, options, of the one that is started."""

    def __init__(self, options):
        self._prepare = {
            "do": "prepare",
            "contestant": options["contestant"],
            "options": options["options"],
        }

    def run(self, work):
        requests = [self._prepare, {"do": "run", "work": work}]
        lines = "".join(json.dumps(request) + "\n" for request in requests)
        started = time.perf_counter()
        with subprocess.Popen(
            [sys.executable, str(_WORKER)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            process.stdin.write(lines)
            process.stdin.flush()
            answers = [json.loads(process.stdout.readline() or "{}") for _ in requests]
            seconds = time.perf_counter() - started
            process.kill()  # what it would do to end is nobody's wait
        failed = [answer for answer in answers if "error" in answer or not answer]
        if failed:
            raise RuntimeError(failed[0].get("error", "the new process ended without an answer"))
        return seconds, 1.0
