"""A piano roll as a picture that opens in any browser."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike

from lamina.data.music import LOWEST_PITCH, as_roll, held_notes
from lamina.places import require_file

FRAME_WIDTH, KEY_HEIGHT, MARGIN, FOOT = 6, 6, 40, 32  # pixels
TICK_FRAMES = 16
INK, GRID = "#1f4e79", "#d9d9d9"


def draw_piano_roll(roll: ArrayLike, path: str | os.PathLike[str]) -> None:
    """Write an SVG with a bar for every held note; frames to the right, keys upwards, each C named.

    Only the octaves that sound are drawn.

    Raises:
        DataError: not a piano roll.
        ConfigError: the file cannot be written.
    """
    require_file(path)
    sounding = as_roll(roll)
    used = np.flatnonzero(sounding.any(axis=0))
    low, high = (int(used[0]), int(used[-1])) if len(used) else (39, 51)
    low, high = max(0, low - 2), min(sounding.shape[1] - 1, high + 2)
    width, height = MARGIN + len(sounding) * FRAME_WIDTH, (high - low + 1) * KEY_HEIGHT
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width + 10}" height="{height + FOOT}" '
        'font-family="sans-serif" font-size="10">',
        '<rect width="100%" height="100%" fill="white"/>',
    ]
    for key in range(low, high + 1):
        pitch = key + LOWEST_PITCH
        if pitch % 12 == 0:
            y = (high - key + 1) * KEY_HEIGHT
            parts.append(f'<line x1="{MARGIN}" x2="{width}" y1="{y}" y2="{y}" stroke="{GRID}"/>')
            parts.append(f'<text x="{MARGIN - 6}" y="{y}" text-anchor="end">C{pitch // 12 - 1}</text>')
    for frame in range(0, len(sounding) + 1, TICK_FRAMES):
        x = MARGIN + frame * FRAME_WIDTH
        parts.append(f'<line x1="{x}" x2="{x}" y1="0" y2="{height}" stroke="{GRID}"/>')
        parts.append(f'<text x="{x}" y="{height + 12}" text-anchor="middle">{frame}</text>')
    for key, begin, end in held_notes(sounding):
        parts.append(
            f'<rect class="note" x="{MARGIN + begin * FRAME_WIDTH}" y="{(high - key) * KEY_HEIGHT}" '
            f'width="{(end - begin) * FRAME_WIDTH - 1}" height="{KEY_HEIGHT - 1}" fill="{INK}"/>'
        )
    middle = MARGIN + (width - MARGIN) // 2
    parts.append(f'<text x="{middle}" y="{height + 26}" text-anchor="middle">frame</text></svg>')
    Path(path).write_text("\n".join(parts) + "\n", encoding="utf-8")
