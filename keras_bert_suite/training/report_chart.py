"""One chart of a report as inline SVG: lines over optimizer steps, readable with 10 or 10,000."""

from __future__ import annotations

import html
import math
from collections.abc import Mapping, Sequence

Curve = tuple[list[int], list[float]]  # steps, values

_WIDTH, _HEIGHT = 440, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 12, 10, 24
_POINTS = 240  # of a line: more than one in two pixels shows nothing more
_MARKED = 40  # fewer points than this are marked, so that a single one shows


def chart(
    title: str,
    curves: Mapping[str, Curve],
    *,
    unit: str = "",
    reference: tuple[str, float] | None = None,
    from_zero: bool = True,
) -> str:
    """Gives a <figure> with a caption (title, unit, last values) and the lines.

    Args:
      title: of the figure.
      curves: name of a line, also its CSS class, -> (steps, finite values), in the order of steps.
      unit: of the values.
      reference: name and height of a dashed line.
      from_zero: whether the scale holds 0, so that heights compare.
    """
    lines = {name: _thinned(curve) for name, curve in curves.items()}
    means = [point[1] for line in lines.values() for point in line]
    shown = [*means, *([reference[1]] if reference else []), *([0.0] if from_zero else [])]
    marks = _marks(min(shown), max(shown))
    last_step = max(steps[-1] for steps, _ in curves.values())
    scale = _Scale(last_step, marks[0], marks[-1])
    parts = [_grid(scale, marks)]
    if reference:
        y = scale.y(reference[1])
        parts.append(
            f'<line class="reference" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text x="{_WIDTH - _RIGHT}" y="{y - 4}" text-anchor="end">'
            f"{html.escape(reference[0])} {number(reference[1])}</text>"
        )
    parts += [_line(name, line, scale) for name, line in lines.items()]
    caption = "".join(
        f'<span class="{name}">{name} {number(values[-1])}</span>'
        for name, (_, values) in curves.items()
    )
    return (
        f"<figure><figcaption><b>{html.escape(title)}</b><span>{html.escape(unit)}</span>{caption}"
        f'</figcaption>\n<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{html.escape(title)} over steps">{"".join(parts)}</svg></figure>'
    )


def number(value: float, *, digits: int = 4) -> str:
    """A number as short as it may be: 1,234,567; 12.35; 0.0012; 3.2e-05."""
    if value == 0:
        return "0"
    if abs(value) >= 10_000:
        return f"{value:,.0f}"
    return f"{value:.{digits}g}"


class _Scale:
    """From steps and values to the coordinates of the drawing."""

    def __init__(self, last_step: int, low: float, high: float):
        self.last_step, self.low, self.high = max(last_step, 1), low, high

    def x(self, step: float) -> float:
        return round(_LEFT + step / self.last_step * (_WIDTH - _LEFT - _RIGHT), 1)

    def y(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        # What lies above or below (the extremes of a band) ends at the frame.
        return round(_TOP + (1 - min(max(share, 0.0), 1.0)) * (_HEIGHT - _TOP - _BOTTOM), 1)


def _thinned(curve: Curve) -> list[tuple[float, float, float, float]]:
    """At most _POINTS points (step, mean, lowest, highest), each of as many records."""
    steps, values = curve
    size = math.ceil(len(steps) / _POINTS)
    parts = [slice(i, i + size) for i in range(0, len(steps), size)]
    return [(_mean(steps[p]), _mean(values[p]), min(values[p]), max(values[p])) for p in parts]


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values)


def _line(name: str, line: list[tuple[float, float, float, float]], scale: _Scale) -> str:
    points = [f"{scale.x(step)},{scale.y(mean)}" for step, mean, _, _ in line]
    drawn = ""
    if any(low < high for _, _, low, high in line):
        upper = [f"{scale.x(step)},{scale.y(high)}" for step, _, _, high in line]
        lower = [f"{scale.x(step)},{scale.y(low)}" for step, _, low, _ in reversed(line)]
        drawn = f'<polygon class="{name}" points="{" ".join(upper + lower)}"/>'
    drawn += f'<path class="{name}" d="M{" L".join(points)}"/>'
    if len(line) <= _MARKED:
        for point in points:
            x, y = point.split(",")
            drawn += f'<circle class="{name}" cx="{x}" cy="{y}" r="2.6"/>'
    return drawn


def _grid(scale: _Scale, marks: Sequence[float]) -> str:
    parts = []
    for mark in marks:
        y = scale.y(mark)
        parts.append(
            f'<line class="grid" x1="{_LEFT}" x2="{_WIDTH - _RIGHT}" y1="{y}" y2="{y}"/>'
            f'<text x="{_LEFT - 6}" y="{y + 4}" text-anchor="end">{_short(mark)}</text>'
        )
    for step in _marks(0, scale.last_step):
        if step <= scale.last_step:
            parts.append(
                f'<text x="{scale.x(step)}" y="{_HEIGHT - 6}" text-anchor="middle">'
                f"{_short(step)}</text>"
            )
    return "".join(parts)


def _marks(low: float, high: float) -> list[float]:
    """About five round numbers, a step of 1, 2 or 5 times a power of ten, around [low, high]."""
    if high - low <= 1e-9 * max(abs(low), abs(high)):
        low, high = (low - abs(low) * 0.1, high + abs(high) * 0.1) if high else (0.0, 1.0)
    raw = (high - low) / 4
    power = 10.0 ** math.floor(math.log10(raw))
    width = next(power * factor for factor in (1, 2, 5, 10) if raw <= power * factor * 1.0001)
    first, last = math.floor(low / width + 1e-6), math.ceil(high / width - 1e-6)
    return [index * width for index in range(first, last + 1)]


def _short(value: float) -> str:
    """A mark of an axis: 0.5, 20k, 1.5M, 2e-05."""
    for limit, letter in ((1e9, "G"), (1e6, "M"), (1e4, "k")):
        if abs(value) >= limit:
            factor = 1e3 if letter == "k" else limit
            return f"{value / factor:.4g}{letter}"
    return f"{value:.4g}"
