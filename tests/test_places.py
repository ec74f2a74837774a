from __future__ import annotations

from pathlib import Path

import pytest

from lamina.errors import ConfigError
from lamina.places import require_file, why_no_folder


@pytest.mark.parametrize("place", ["folder", "none/page.html", "file/page.html", "/proc/page.html"])
def test_a_file_that_cannot_be_written_is_told_before_any_work(tmp_path: Path, place: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").write_text("mine")
    with pytest.raises(ConfigError, match=r"cannot be written: .+\. Name another"):
        require_file(tmp_path / place)


def test_asking_for_a_file_leaves_what_is_there(tmp_path: Path) -> None:
    (tmp_path / "old").write_text("mine")
    require_file(tmp_path / "old")
    require_file(tmp_path / "new")
    assert (tmp_path / "old").read_text() == "mine"
    assert not (tmp_path / "new").exists()


@pytest.mark.parametrize("place", ["/proc/x", "/proc/x/deeper", "file", "file/deeper"])
def test_a_folder_that_cannot_be_made_has_a_reason(tmp_path: Path, place: str) -> None:
    (tmp_path / "file").write_text("mine")
    assert why_no_folder(tmp_path / place)


def test_asking_for_a_folder_makes_none(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "new" / "deeper"):
        assert why_no_folder(folder) == ""
    assert list(tmp_path.iterdir()) == []
