"""A contestant that needs no library: it does what `work` says and notes its turn."""

import atexit
import os
import sys


class Contestant:
    def __init__(self, options):
        if options.get("refuses"):
            raise ValueError("it refuses")
        print("a library greets")  # must not come between the answers
        bytearray(options.get("loads", 0))
        self._options = options
        self._note("+")
        atexit.register(self._note, "-")

    def _note(self, sign):
        if "lives" in self._options:
            with open(self._options["lives"], "a", encoding="utf-8") as file:
                print(f"{sign}{self._options['name']}", file=file)

    def run(self, work):
        with open(work["turns"], "a", encoding="utf-8") as file:
            file.write(self._options["name"])
        if work.get("dies"):
            print("the end is near", file=sys.stderr, flush=True)
            os._exit(3)
        bytearray(work.get("fills", 0))  # the memory is given back
        return self._options["seconds"], 10.0

    def outputs(self, work):
        return self._options.get("outputs")
