"""PyTorch's matrix product."""

from __future__ import annotations

import time


class Contestant:
    """A unit is a FLOP."""

    def __init__(self, options):
        del options
        import torch

        self._torch = torch

    def run(self, work):
        torch = self._torch
        rows, inner, columns = work["shape"]
        a, b = (
            torch.randn(shape).to(getattr(torch, work["dtype"]))
            for shape in ([rows, inner], [inner, columns])
        )
        with torch.inference_mode():
            torch.matmul(a, b)
            started = time.perf_counter()
            for _ in range(work["times"]):
                torch.matmul(a, b)
            seconds = time.perf_counter() - started
        return seconds, 2.0 * rows * inner * columns * work["times"]
