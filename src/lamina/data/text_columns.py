"""Columns of text from tables of CSV, TSV and JSON lines."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from lamina.errors import DataError, did_you_mean

if TYPE_CHECKING:
    import polars as pl

TABLES = {".csv": ",", ".tsv": "\t", ".jsonl": None}  # what divides the columns


def read_columns(
    path: Path, columns: Mapping[str, str], *, kind: str, content: io.StringIO | None = None
) -> pl.DataFrame:
    """A table that has these columns; nothing but text is made of those of CSV and TSV.

    Args:
        path: the file.
        columns: what names each column, such as "text= (--text)", by the column, for errors.
        kind: one of TABLES.
        content: what is in the file, where it was read before.

    Raises:
        DataError: the table cannot be read, or lacks a column.
    """
    import polars as pl

    separator, source = TABLES[kind], path if content is None else content
    try:
        frame = (
            pl.read_ndjson(source)
            if separator is None
            else pl.read_csv(source, separator=separator, infer_schema=False)
        )
    except pl.exceptions.PolarsError as error:
        raise DataError(f"'{path}' cannot be read: {error}") from error
    for column, option in columns.items():
        if column not in frame.columns:
            raise DataError(
                f"'{path}' has the columns {', '.join(frame.columns)} and no '{column}'"
                f"{did_you_mean(column, frame.columns)}; name it with {option}"
            )
    return frame
