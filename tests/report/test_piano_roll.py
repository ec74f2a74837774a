from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import numpy as np

from lamina.data.music import KEYS
from lamina.report.piano_roll import FRAME_WIDTH, KEY_HEIGHT, draw_piano_roll

SVG = "{http://www.w3.org/2000/svg}"


def test_every_held_note_is_a_bar_of_its_length_and_height(tmp_path: Path) -> None:
    roll = np.zeros((20, KEYS), dtype=bool)
    roll[2:6, 39], roll[4:5, 43] = True, True
    draw_piano_roll(roll, tmp_path / "roll.svg")
    tree = ElementTree.parse(tmp_path / "roll.svg")
    low, high = [e for e in tree.iter(f"{SVG}rect") if e.get("class") == "note"]
    assert float(low.get("width", 0)) == 4 * FRAME_WIDTH - 1
    assert float(low.get("x", 0)) + 2 * FRAME_WIDTH == float(high.get("x", 0))
    assert float(low.get("y", 0)) - float(high.get("y", 0)) == 4 * KEY_HEIGHT
    assert "C4" in {e.text for e in tree.iter(f"{SVG}text")}


def test_silence_can_be_drawn(tmp_path: Path) -> None:
    draw_piano_roll(np.zeros((5, KEYS)), tmp_path / "roll.svg")
    assert ElementTree.parse(tmp_path / "roll.svg").getroot().tag == f"{SVG}svg"
