from __future__ import annotations

import gzip
from pathlib import Path
from types import ModuleType

import pytest

from lamina.data.labelled_texts import read_labelled_texts


def test_a_part_is_written_as_a_table(text_study: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "trec").mkdir()
    lines = 'DESC:manner What is "a, b" ?\nLOC:city Where is Orléans ?\n'.encode("latin-1")
    (tmp_path / "trec" / "TREC.train.txt.gz").write_bytes(gzip.compress(lines))
    table = text_study.write_texts(tmp_path, "train", tmp_path / "train.csv")
    assert read_labelled_texts(table) == (['What is "a, b" ?', "Where is Orléans ?"], ["DESC", "LOC"])


def test_a_browser_is_looked_for_before_the_study(
    text_study: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(text_study.shutil, "which", lambda _: None)
    monkeypatch.setattr(text_study, "run", None)
    assert text_study.main(["--data-folder", str(tmp_path)]) == 2
    assert "apt install chromium" in " ".join(capsys.readouterr().out.split())
