from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from lamina.data.parallel import check_pairs, read_pairs
from lamina.errors import DataError

SOURCE, TARGET = ["a cat, black", "two dogs\u2028here"], ["eine Katze, schwarz", "zwei Hündchen"]


def table(separator: str) -> str:
    quoted = separator.join('"{}"' if separator == "," else "{}" for _ in range(2))
    rows = [quoted.format(*pair) for pair in zip(SOURCE, TARGET, strict=True)]
    return "\n".join([separator.join(("en", "de")), *rows]) + "\n"


def test_pairs_come_from_every_kind_of_file(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("\n".join(SOURCE) + "\n", encoding="utf-8")
    (tmp_path / "a.de.gz").write_bytes(gzip.compress("\r\n".join(TARGET).encode()))
    assert read_pairs(tmp_path / "a.en", tmp_path / "a.de.gz") == (SOURCE, TARGET)
    (tmp_path / "a.csv").write_text(table(","), encoding="utf-8")
    (tmp_path / "a.tsv.gz").write_bytes(gzip.compress(table("\t").encode()))
    lines = [json.dumps({"en": s, "de": t}) for s, t in zip(SOURCE, TARGET, strict=True)]
    (tmp_path / "a.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    for name in ("a.csv", "a.tsv.gz", "a.jsonl"):
        assert read_pairs(tmp_path / name, source="en", target="de") == (SOURCE, TARGET), name


def test_what_is_wrong_is_said_with_its_place(tmp_path: Path) -> None:
    (tmp_path / "a.en").write_text("a\nb\n")
    (tmp_path / "a.de").write_text("x\n\n")
    (tmp_path / "b.de").write_text("x\n")
    (tmp_path / "c.de").write_bytes(b"x\nsch\xf6n\n")
    (tmp_path / "a.csv").write_text("sorce,target\na,b\n")
    (tmp_path / "b.csv").write_text("source,target\na,b\nc,\n")
    (tmp_path / "empty").write_text("")
    english = tmp_path / "a.en"
    with pytest.raises(DataError, match="the target of row 1 is empty"):
        read_pairs(english, tmp_path / "a.de")
    with pytest.raises(DataError, match="2 texts and 1 translations"):
        read_pairs(english, tmp_path / "b.de")
    with pytest.raises(DataError, match=r"line 2 of .* has the byte 0xf6"):
        read_pairs(english, tmp_path / "c.de")
    with pytest.raises(DataError, match="no file"):
        read_pairs(english, tmp_path / "none.de")
    with pytest.raises(DataError, match=r"did you mean 'sorce'.*source="):
        read_pairs(tmp_path / "a.csv")
    with pytest.raises(DataError, match="the target of row 1 is empty"):
        read_pairs(tmp_path / "b.csv")
    with pytest.raises(DataError, match="Name the file of the translations"):
        read_pairs(english)
    with pytest.raises(DataError, match="there are none"):
        read_pairs(tmp_path / "empty", tmp_path / "empty")


def test_pairs_in_memory_are_checked_too() -> None:
    assert check_pairs(("a",), ["b"]) == (["a"], ["b"])
    with pytest.raises(DataError, match="the source of row 0 is int"):
        check_pairs([3], ["b"])  # type: ignore[list-item]
    with pytest.raises(DataError, match="the target of row 1 has half of a surrogate pair"):
        check_pairs(["a", "b"], ["a", "\ud800"])
    with pytest.raises(DataError, match=r"single string. Pass \[text\]"):
        check_pairs("a", ["b"])
