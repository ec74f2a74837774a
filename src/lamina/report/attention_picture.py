"""Where a translation looked, as a picture that opens in any browser."""

from __future__ import annotations

import os
from collections.abc import Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lamina.errors import DataError
from lamina.places import require_file

CELL, LETTER = 22, 7  # pixels
INK = "#1f4e79"
# control characters, which XML may not hold, as their pictures
VISIBLE = {sign: 0x2400 + sign for sign in range(32)}
FAINT = 0.005  # a weight below this is left white


def draw_attention(
    weights: ArrayLike, path: str | os.PathLike[str], *, source: Sequence[str], target: Sequence[str]
) -> None:
    """Write an SVG with a row for each token written and a column for each token read.

    The darker a square, the more the row's token read of the column's; the weight stands in its title, which
    a browser shows under the pointer.

    Args:
        weights: (target, source), of ``Translator.attention``.
        path: the file.
        source: names of the columns.
        target: names of the rows.

    Raises:
        DataError: the weights do not have a row and a column for every token, or are not from 0 to 1.
        ConfigError: the file cannot be written.
    """
    require_file(path)
    matrix = np.asarray(weights, dtype=np.float64)
    if matrix.shape != (len(target), len(source)):
        raise DataError(
            f"attention has a row for each of {len(target)} tokens written and a column for each of "
            f"{len(source)} read, but has shape {matrix.shape}. Pass all three from one attention(text)."
        )
    if not ((matrix >= 0) & (matrix <= 1 + 1e-6)).all():
        raise DataError("weights of attention are shares, from 0 to 1; pass those of attention(text)")
    source, target = ([name.translate(VISIBLE) for name in names] for names in (source, target))
    left, top = (max((len(name) for name in names), default=0) * LETTER + 12 for names in (target, source))
    width, height = left + CELL * len(source), top + CELL * len(target)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 8}" height="{height + 8}" role="img" '
        'aria-label="Weights of attention" font-family="sans-serif" font-size="12">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for column, name in enumerate(source):
        x, y = left + CELL * column + CELL // 2 + 4, top - 6
        parts.append(f'<text transform="translate({x} {y}) rotate(-90)">{escape(name)}</text>')
    for row, name in enumerate(target):
        y = top + CELL * row
        parts.append(f'<text x="{left - 6}" y="{y + 15}" text-anchor="end">{escape(name)}</text>')
        for column, weight in enumerate(matrix[row]):
            if weight >= FAINT:
                parts.append(
                    f'<rect class="weight" x="{left + CELL * column}" y="{y}" width="{CELL - 1}" '
                    f'height="{CELL - 1}" fill="{INK}" fill-opacity="{min(1.0, weight):.3f}">'
                    f"<title>{escape(name)} ← {escape(source[column])}: {weight:.2f}</title></rect>"
                )
    parts.append(f'<rect x="{left}" y="{top}" width="{width - left}" height="{height - top}" fill="none" ')
    parts.append('stroke="#d9d9d9"/></svg>')
    Path(path).write_text("\n".join(parts) + "\n", encoding="utf-8")
