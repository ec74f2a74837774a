"""Columns of text from tables of CSV, TSV and JSON lines."""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.data.text import read_text
from lamina.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

TABLES = {".csv": ",", ".tsv": "\t", ".jsonl": None}  # what divides the columns


def is_table(path: Path | str) -> bool:
    """Whether a file is such a table, by its name; it may be gzipped (.gz).

    >>> is_table("reviews.csv.gz"), is_table("book.txt")
    (True, False)
    """
    return _kind(Path(path)) in TABLES


def _kind(path: Path) -> str:
    return Path(path.name.removesuffix(".gz")).suffix


def read_columns(path: Path, columns: Mapping[str, str]) -> pl.DataFrame:
    """A table that has these columns; nothing but text is made of those of CSV and TSV.

    Args:
        path: the file, UTF-8, gzipped or not.
        columns: what names each column, such as "text= (--text)", by the column, for errors.

    Raises:
        DataError: the table cannot be read, or lacks a column.
    """
    import polars as pl

    separator, text = TABLES[_kind(path)], read_text(path)
    try:
        frame = (
            pl.read_ndjson(io.StringIO(text))
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
    return frame


def _fault(text: str, separator: str | None) -> str:
    """What a person can mend in a table that cannot be read; "" where that is not known."""
    if not text.strip():
        return "it is empty"
    if separator is None:
        for number, line in enumerate(text.splitlines(), start=1):
            try:
                json.loads(line)
            except ValueError as error:
                return f"line {number} is not JSON: {error}"
        return ""
    if '"' in text:
        return (
            "its quotation marks do not fit. A cell that holds one is quoted whole, with the marks inside "
            "doubled; or write the texts as .jsonl"
        )
    return ""
