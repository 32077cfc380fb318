"""The ratios as a picture: one bar a line of the table."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from typing import Any

from keras_bert_suite.benchmark.report import SHARE
from keras_bert_suite.files import atomic_write

_OURS, _THEIRS, _SHARE = "#2a7f62", "#b5523b", "#7a8ba3"
_INCHES_A_BAR = 0.24


def can_draw() -> bool:
    """Returns whether matplotlib is installed, this package's extra `benchmark`."""
    return importlib.util.find_spec("matplotlib") is not None


def draw(path: Path, results: dict[str, Any]) -> None:
    """Writes a PNG: the ratio of each line on a logarithmic axis, its quartiles, what is wanted."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    bars = [
        (f"{suite['name']}: {case['work']}  |  {line['against']}", line)
        for suite in results["suites"]
        for case in suite["cases"]
        for line in case["lines"]
    ]
    figure = Figure(figsize=(13, 1.2 + _INCHES_A_BAR * max(1, len(bars))), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    places = range(len(bars))
    values = [line["ratio"] for _, line in bars]
    below = [line["ratio"] - line["low"] for _, line in bars]
    above = [line["high"] - line["ratio"] for _, line in bars]
    colors = [_color(line) for _, line in bars]
    # A logarithmic bar begins at 1, so that twice and half as fast look alike.
    axes.barh(places, [value - 1 for value in values], left=1, color=colors)
    axes.errorbar(values, places, xerr=[below, above], fmt="none", ecolor="#444", capsize=2)
    wanted = [(place, line["wanted"]) for place, (_, line) in enumerate(bars) if line["wanted"]]
    axes.scatter(
        [value for _, value in wanted],
        [place for place, _ in wanted],
        marker="|",
        s=90,
        color="black",
        label="wanted",
    )
    axes.set_xscale("log")
    axes.axvline(1, color="#444", linewidth=0.8)
    ticks = [0.0625, 0.125, 0.25, 0.5, 1, 2, 4, 8, 16, 32]
    low, high = min([0.5, *values]), max([2.0, *values, *(value for _, value in wanted)])
    shown = [tick for tick in ticks if low / 1.5 <= tick <= high * 1.5]
    axes.set_xticks(shown, [f"{tick:g}x" for tick in shown])
    axes.minorticks_off()
    axes.set_yticks(places, [name for name, _ in bars], fontsize=8)
    axes.set_ylim(len(bars) - 0.4, -0.6)
    axes.set_title("How many times as fast as its peers (bar: median, line: quartiles)")
    if wanted:
        axes.legend(loc="lower right")
    with atomic_write(path, "wb") as file:
        figure.savefig(file, format="png", dpi=110)


def _color(line: dict[str, Any]) -> str:
    if line["against"] == SHARE:
        return _SHARE  # of a ceiling: nobody is beaten
    return _OURS if line["ratio"] >= 1 else _THEIRS
