from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lamina.data.text import as_text, read_text
from lamina.errors import DataError


def test_files_are_utf8_with_or_without_gzip_and_mark(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_bytes("\ufeffnaïve\n".encode())
    (tmp_path / "a.txt.gz").write_bytes(gzip.compress("naïve\n".encode()))
    assert read_text(tmp_path / "a.txt") == as_text(tmp_path / "a.txt.gz") == "naïve\n"


def test_what_is_no_text_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "bad.txt").write_bytes(b"fine\nna\xefve\n")
    with pytest.raises(DataError, match=r"line 2 of .*bad.txt' has the byte 0xef"):
        read_text(tmp_path / "bad.txt")
    (tmp_path / "wide.txt").write_bytes("fine\n".encode("utf-16"))
    with pytest.raises(DataError, match="iconv -f utf-16 -t utf-8"):
        read_text(tmp_path / "wide.txt")
    with pytest.raises(DataError, match="there is no file"):
        as_text(tmp_path / "none.txt")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(DataError, match=r"Pass Path\('bad.txt'\)"):
        as_text("bad.txt")
    with pytest.raises(DataError, match="a text is a string but row 1 is NoneType"):
        as_text(["a", None])  # type: ignore[list-item]  # what is refused
    for halved, where in (("a \ud800", "this one"), (["a \ud800"], "row 0")):
        with pytest.raises(DataError, match=rf"{where} has half of a surrogate pair, '\\ud800', at 2; leave"):
            as_text(halved)
    nothing: tuple[str | list[str], ...] = ("", " \n", [])
    for empty in nothing:
        with pytest.raises(DataError, match="at least one word"):
            as_text(empty)
