"""Our server in a process of its own, asked over gRPC by clients without pause."""

from __future__ import annotations

import atexit
import contextlib
from pathlib import Path

from keras_bert_suite.benchmark.contestants.text_files import read_texts


class Contestant:
    """A unit is a text; of one client alone the median time of a request counts.

    Options: export_dir; batching, whether the server joins requests.
    Work: texts; clients; rows of a request; seconds.
    """

    def __init__(self, options):
        from keras_bert_suite.serving import throughput

        self._ask, servers = throughput.ask, contextlib.ExitStack()
        # It would outlive this process.
        atexit.register(servers.close)
        more = {"enable_batching": True} if options["batching"] else {}
        self._call, _ = servers.enter_context(
            throughput.served(Path(options["export_dir"]), **more)
        )

    def run(self, work):
        texts, _ = read_texts(work["texts"])
        seconds = work["seconds"]
        measured = self._ask(
            self._call, texts, clients=work["clients"], rows=work["rows"], seconds=seconds
        )
        notes = {"p50 ms": 1e3 * measured.p50, "p99 ms": 1e3 * measured.p99}
        if work["clients"] == 1:
            return measured.p50, float(work["rows"]), notes
        return seconds, measured.rate * seconds, notes
