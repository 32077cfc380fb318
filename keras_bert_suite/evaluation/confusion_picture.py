"""A confusion matrix as a picture that needs nothing but a browser."""

from __future__ import annotations

from collections.abc import Sequence
from xml.sax.saxutils import escape

import numpy as np

_MOST_NUMBERS = 24  # beyond so many labels the cells are too small for their counts
_LETTER = 6.6  # width of a letter in pixels


def confusion_svg(confusion: np.ndarray, labels: Sequence[str]) -> str:
    """Draws gold labels as rows and predictions as columns.

    A cell is the darker the larger its share of its row is; the diagonal is blue, errors are red.
    Labels and counts stand in the tooltips too.

    Args:
      confusion: int [labels, labels].
      labels: their names.

    Returns:
      A whole SVG document.
    """
    count = len(labels)
    size = 34 if count <= _MOST_NUMBERS else max(8, 816 // count)
    # A tag of a hundred letters would push the picture out of the window.
    names = [name if len(name) <= 32 else name[:31] + "\u2026" for name in labels]
    margin = int(max(map(len, names)) * _LETTER) + 24
    edge = margin + count * size + 12
    font = min(12, size)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{edge}" height="{edge}" '
        f'font-family="sans-serif" font-size="{font}">',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="4" y="{margin - 6}">gold \u2193 predicted \u2192</text>',
    ]
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    for row in range(count):
        middle = margin + row * size + size / 2
        name = escape(names[row])
        parts.append(
            f'<text x="{margin - 6}" y="{middle}" text-anchor="end" '
            f'dominant-baseline="middle">{name}</text>'
        )
        parts.append(
            f'<text transform="translate({middle},{margin - 6}) rotate(-90)" '
            f'dominant-baseline="middle">{name}</text>'
        )
        for column in range(count):
            if confusion[row, column]:
                parts += _cell(confusion, shares, labels, row, column, margin=margin, size=size)
    parts.append(
        f'<rect x="{margin}" y="{margin}" width="{count * size}" height="{count * size}" '
        'fill="none" stroke="#888"/></svg>'
    )
    return "\n".join(parts) + "\n"


def _cell(
    confusion: np.ndarray,
    shares: np.ndarray,
    labels: Sequence[str],
    row: int,
    column: int,
    *,
    margin: int,
    size: int,
) -> list[str]:
    x, y = margin + column * size, margin + row * size
    color = "31,111,180" if row == column else "200,60,40"
    share, number = float(shares[row, column]), int(confusion[row, column])
    # The least error must be seen too.
    tip = f"gold {labels[row]}, predicted {labels[column]}: {number} ({share:.1%} of the row)"
    parts = [
        f'<rect x="{x}" y="{y}" width="{size}" height="{size}" '
        f'fill="rgba({color},{0.12 + 0.88 * share:.3f})"><title>{escape(tip)}</title></rect>'
    ]
    if len(labels) <= _MOST_NUMBERS:
        ink = "white" if share > 0.5 else "black"
        parts.append(
            f'<text x="{x + size / 2}" y="{y + size / 2}" text-anchor="middle" font-size="11" '
            f'dominant-baseline="middle" fill="{ink}" pointer-events="none">{number}</text>'
        )
    return parts
