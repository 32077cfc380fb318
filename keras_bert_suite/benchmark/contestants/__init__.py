"""What competes: one module a contestant, each with a class `Contestant`.

A module runs in a worker process (worker.py), perhaps under a Python that has none of this
package's requirements: it imports the library that it measures and NumPy, and of this package
nothing but this room.

    class Contestant:
        def __init__(self, options): ...       # loads what stays: the library, the model
        def run(self, work) -> (seconds, units)  # does the work once; a unit is the suite's. As a
                                               # third, perhaps, numbers to be told: {"loss": 0.7}
        def outputs(self, work) -> array       # optional: what was computed, to be compared

`options` and `work` are JSON values. What the first `run` compiles or caches is not measured: the
first one of each work is not counted.
"""
