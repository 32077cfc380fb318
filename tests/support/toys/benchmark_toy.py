"""A contestant that needs no library: it does what `work` says and notes its turn."""

import os
import sys


class Contestant:
    def __init__(self, options):
        if options.get("refuses"):
            raise ValueError("it refuses")
        print("a library greets")  # must not come between the answers
        self._options = options

    def run(self, work):
        with open(work["turns"], "a", encoding="utf-8") as file:
            file.write(self._options["name"])
        if work.get("dies"):
            print("the end is near", file=sys.stderr, flush=True)
            os._exit(3)
        if work.get("fills"):
            self._filled = bytearray(work["fills"])
        return self._options["seconds"], 10.0

    def outputs(self, work):
        return self._options.get("outputs")
