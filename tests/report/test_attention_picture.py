from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree

import pytest

from lamina.errors import ConfigError, DataError
from lamina.report.attention_picture import CELL, draw_attention

SVG = "{http://www.w3.org/2000/svg}"


def test_a_square_stands_where_a_token_looked_and_is_as_dark_as_its_weight(tmp_path: Path) -> None:
    path = tmp_path / "a.svg"
    draw_attention([[0.25, 0.75, 0.0], [0.0, 0.0, 1.0]], path, source=["a", "<b>", "&"], target=["x", "y"])
    tree = ElementTree.parse(path)
    squares = [e for e in tree.iter(f"{SVG}rect") if e.get("class") == "weight"]
    assert [float(e.get("fill-opacity", 0)) for e in squares] == [0.25, 0.75, 1.0]
    first, second, last = ((float(e.get("x", 0)), float(e.get("y", 0))) for e in squares)
    assert second == (first[0] + CELL, first[1])
    assert last == (first[0] + 2 * CELL, first[1] + CELL)
    assert [e.text for e in tree.iter(f"{SVG}title")] == ["x ← a: 0.25", "x ← <b>: 0.75", "y ← &: 1.00"]
    assert [e.text for e in tree.iter(f"{SVG}text")] == ["a", "<b>", "&", "x", "y"]


def test_a_control_character_is_shown_by_its_picture(tmp_path: Path) -> None:
    draw_attention([[1.0]], tmp_path / "a.svg", source=["\x01"], target=["\n"])
    tree = ElementTree.parse(tmp_path / "a.svg")
    assert [e.text for e in tree.iter(f"{SVG}text")] == ["␁", "␊"]


def test_what_is_no_attention_is_said(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"has shape \(1, 2\)"):
        draw_attention([[0.5, 0.5]], tmp_path / "a.svg", source=["a"], target=["x"])
    with pytest.raises(ConfigError, match="cannot be written"):
        draw_attention([[0.5]], tmp_path / "none" / "a.svg", source=["a"], target=["x"])
    with pytest.raises(DataError, match="from 0 to 1"):
        draw_attention([[-0.5]], tmp_path / "a.svg", source=["a"], target=["x"])
