from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from lamina.data.lazy_text import read_blocks
from lamina.data.text_columns import read_columns
from lamina.errors import DataError

NAMED = {"text": "text= (--text)"}


def written(path: Path, content: str) -> Path:
    data = content.encode()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)
    return path


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'n,text\n1,"a ""b"", c\nd"\n2,é\n'),
        ("a.csv.gz", 'n,text\n1,"a ""b"", c\nd"\n2,é\n'),
        ("a.tsv", 'n\ttext\n1\t"a ""b"", c\nd"\n2\té\n'),
        ("a.jsonl", '{"n": 1, "text": "a \\"b\\", c\\nd"}\n{"n": 2, "text": "é"}\n'),
        ("a.csv", '\ufeffn,text\r\n1,"a ""b"", c\nd"\r\n2,é\r\n'),
    ],
)
def test_tables_hold_quotes_line_ends_and_any_script(tmp_path: Path, name: str, content: str) -> None:
    frame = read_columns(written(tmp_path / name, content), NAMED)
    assert frame["text"].to_list() == ['a "b", c\nd', "é"]
    assert frame.columns == ["n", "text"]


def test_numbers_stay_text(tmp_path: Path) -> None:
    assert read_columns(written(tmp_path / "a.csv", "text\n007\n"), NAMED)["text"].to_list() == ["007"]


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "", "'.*' cannot be read: it is empty"),
        ("a.tsv", 'text\nsay "no\nx\n', "quotation marks do not fit"),
        ("a.csv", 'n,text\n1,"a, ""b"""\n2,c, d\n', "line 3 has 3 cells and the head 2; .* with a comma"),
        ("a.csv", "n,text\n" + "1,a\n" * 200 + "2,c, d\n", "line 202 has 3 cells and the head 2"),
        ("a.jsonl", '{"text": "a\u2028b"}\n\n{"text": \n', "line 3 is not JSON: "),
        (
            "a.jsonl",
            '{"text": ["a", "b"]}\n',
            "a cell of 'text' is one text, but .* has lists or objects there",
        ),
        (
            "a.jsonl",
            '{"text": {"a": "b"}}\n',
            "a cell of 'text' is one text, but .* has lists or objects there",
        ),
        ("a.jsonl", '{"text": "a"}\n{"text": \n', "line 2 is not JSON: "),
        (
            "a.csv",
            "txt\na\n",
            r"has the columns txt and no 'text'; did you mean 'txt'\?; name it with text= \(--text\)",
        ),
    ],
)
def test_what_cannot_be_read_is_told(tmp_path: Path, name: str, content: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read_columns(written(tmp_path / name, content), NAMED)


def test_every_line_of_json_counts(tmp_path: Path) -> None:
    lines = '{"label": 1}\n' * 150 + '{"label": "z", "text": "late"}\n'
    frame = read_columns(written(tmp_path / "A.JSONL", lines), NAMED)
    assert frame["text"].to_list() == [None] * 150 + ["late"]
    assert frame["label"].to_list() == ["1"] * 150 + ["z"]


@pytest.mark.parametrize("cut", [0, 10])
def test_a_file_that_is_not_packed_or_was_cut_is_told(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"text\nsoup\n")[:-cut] if cut else b"text\nsoup\n")
    with pytest.raises(DataError, match=r"is a whole gzip file, but .* is not"):
        read_columns(path, NAMED)
    with pytest.raises(DataError, match=r"is a whole gzip file, but .* is not"):
        list(read_blocks(path))


def test_another_encoding_is_told_with_its_line(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes("text\nsoup\ncafé\n".encode("latin-1"))
    with pytest.raises(DataError, match=r"line 3 of '.*' has the byte 0xe9\. Convert it"):
        read_columns(tmp_path / "a.csv", NAMED)
