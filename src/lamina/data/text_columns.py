"""Columns of text from tables of CSV, TSV and JSON lines."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.data.text import lines_of, read_text
from lamina.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

HALF = re.compile(r"\\u[dD][89a-fA-F]")  # of a surrogate pair, or a whole one
TABLES = {".csv": ",", ".tsv": "\t", ".jsonl": None}  # what divides the columns


def is_table(path: Path | str) -> bool:
    """Whether a file is such a table, by its name; it may be gzipped (.gz).

    >>> is_table("reviews.csv.gz"), is_table("book.txt")
    (True, False)
    """
    return _kind(Path(path)) in TABLES


def is_json(path: Path) -> bool:
    """Whether a table is one of JSON lines."""
    return TABLES[_kind(path)] is None


def _kind(path: Path) -> str:
    return Path(path.name.lower().removesuffix(".gz")).suffix


def read_columns(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """A table that has these columns; nothing but text is made of those of CSV and TSV.

    Args:
        path: the file, UTF-8, gzipped or not.
        columns: what names each column, such as "text= (--text)", by the column, for errors.

    Raises:
        DataError: the table cannot be read, lacks a column, or has lists or objects in one.
    """
    import polars as pl

    separator, text = TABLES[_kind(path)], read_text(path)
    if separator is None:
        _require_whole_signs(text, path)
    try:
        frame = (
            pl.read_ndjson(io.StringIO(text), infer_schema_length=None)  # a key may come late
            if separator is None
            else pl.read_csv(io.StringIO(text), separator=separator, infer_schema=False)
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"'{path}' cannot be read: {_fault(text, separator) or error}") from error
    for column, option in columns.items():
        if column not in frame.columns:
            raise DataError(
                f"'{path}' has the columns {', '.join(frame.columns)} and no '{column}'"
                f"{did_you_mean(column, frame.columns)}; name it with {option}"
            )
        if frame[column].dtype.is_nested():
            raise DataError(
                f"a cell of '{column}' is one text, but '{path}' has lists or objects there; write one a row"
            )
    return frame


def _require_whole_signs(text: str, path: Path) -> None:
    r"""Raise DataError where JSON escapes half of a surrogate pair, such as \ud83d, which is no character."""
    for number, line in enumerate(lines_of(text) if HALF.search(text) else (), start=1):
        if not HALF.search(line):
            continue
        try:
            json.dumps(json.loads(line), ensure_ascii=False).encode()
        except UnicodeEncodeError as error:
            raise DataError(
                f"a text is Unicode, but line {number} of '{path}' has half of a surrogate pair, "
                f"{error.object[error.start]!r}; leave it out or mend it"
            ) from error
        except ValueError:
            return  # it is no JSON, which is told of the whole


def _fault(text: str, separator: str | None) -> str:
    """What a person can mend in a table that cannot be read; "" where that is not known."""
    if not text.strip():
        return "it is empty"
    if separator is None:
        for number, line in enumerate(lines_of(text), start=1):
            try:
                json.loads(line or "{}")
            except ValueError as error:
                return f"line {number} is not JSON: {error}"
        return ""
    return _long_row(text, separator) or (
        "its quotation marks do not fit. A cell that holds one is quoted whole, with the marks inside "
        "doubled; or write the texts as .jsonl"
    )


def _long_row(text: str, separator: str) -> str:
    """The first row that has more cells than the head; "" where quotation marks leave that open."""
    limit = csv.field_size_limit(len(text))
    try:
        rows = csv.reader(io.StringIO(text, newline=""), delimiter=separator, strict=True)
        head, begin = len(next(rows)), rows.line_num + 1
        for cells in rows:
            if len(cells) > head:
                sign = {",": "comma", "\t": "tab"}[separator]
                return f"line {begin} has {len(cells)} cells and the head {head}; quote a text with a {sign}"
            begin = rows.line_num + 1
    except csv.Error:
        return ""
    finally:
        csv.field_size_limit(limit)
    return ""
