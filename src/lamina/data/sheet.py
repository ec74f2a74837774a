"""A file or a frame as typed columns, with rows that can be named in a message."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import narwhals as nw
import numpy as np
import polars as pl
from polars.exceptions import PolarsError

from lamina.errors import DataError, did_you_mean

MISSING = ("", "NA", "N/A", "NaN", "nan", "null", "NULL", "None")
DATE_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f",
    "%Y-%m-%dT%H:%M:%S%.f",
    "%Y-%m-%d %H:%M",
    "%Y-%m-%dT%H:%M",
    "%Y-%m-%d",
    "%Y/%m/%d %H:%M:%S%.f",
    "%Y/%m/%d %H:%M",
    "%Y/%m/%d",
)
ZONED_FORMATS = (
    "%Y-%m-%d %H:%M:%S%.f%#z",
    "%Y-%m-%dT%H:%M:%S%.f%#z",
    "%Y-%m-%d %H:%M%#z",
    "%Y-%m-%dT%H:%M%#z",
)
SAMPLE_ROWS = 10_000
CSV_SUFFIXES = (".csv", ".csv.gz")
PARQUET_SUFFIXES = (".parquet", ".pq")


@dataclass(frozen=True)
class Sheet:
    """Columns in the order of the source.

    Args:
        frame: the columns, still of the types the source gave them.
        name: of the file, or "the table".
        first_line: line of the first row in a text file; None where rows have no lines.
    """

    frame: pl.DataFrame
    name: str
    first_line: int | None

    def row(self, position: int) -> str:
        """How to name a row: by the line of the file, or counted from 0.

        >>> Sheet(pl.DataFrame(), "a.csv", 2).row(0)
        'line 2'
        """
        return f"row {position}" if self.first_line is None else f"line {position + self.first_line}"

    def rows(self, positions: Sequence[int] | np.ndarray) -> str:
        """The first three rows, named, and how many more there are."""
        named = ", ".join(self.row(int(position)) for position in positions[:3])
        return named if len(positions) <= 3 else f"{named} and {len(positions) - 3} more"

    def numbers(self, name: str) -> pl.Series:
        """A column as float64 with nulls for what is missing.

        Raises:
            DataError: naming the first row that holds text or an infinite value.
        """
        values = self.numbers_or_text(name, allow_text=False)
        assert values.dtype == pl.Float64
        return values

    def numbers_or_text(self, name: str, *, allow_text: bool = True) -> pl.Series:
        """A column as float64, or as text where most of its values are text."""
        values = self.frame[name]
        if isinstance(values.dtype, pl.Categorical | pl.Enum):
            values = values.cast(pl.String)
        if values.dtype == pl.String:
            values = self._parsed(name, values, allow_text=allow_text)
        elif values.dtype.is_numeric() or values.dtype in (pl.Boolean, pl.Null):
            values = values.cast(pl.Float64).fill_nan(None)
        else:
            raise DataError(
                f"{self.name}: column '{name}' must hold numbers or text but holds {values.dtype}; "
                f"name it with time= if it is the time, or leave it out with past="
            )
        if values.dtype == pl.Float64 and (infinite := values.is_infinite().fill_null(value=False)).any():
            rows = infinite.arg_true().to_numpy()
            raise DataError(
                f"{self.name}: column '{name}' must be finite but is infinite at {self.rows(rows)}; "
                f"leave the cell empty if the value is unknown"
            )
        return values

    def _parsed(self, name: str, raw: pl.Series, *, allow_text: bool) -> pl.Series:
        stripped = raw.str.strip_chars()
        text = stripped.set(stripped.is_in(MISSING), None)
        numbers = text.cast(pl.Float64, strict=False).fill_nan(None)
        wrong = (text.is_not_null() & numbers.is_null()).arg_true().to_numpy()
        if not len(wrong):
            return numbers
        if allow_text and len(wrong) > 0.5 * (len(text) - text.null_count()):
            return text
        first = int(wrong[0])
        raise DataError(
            f"{self.name}: column '{name}' must hold numbers but {self.row(first)} has {text[first]!r}"
            f"{f' ({len(wrong)} such rows)' if len(wrong) > 1 else ''}; mend it, leave it empty if the value "
            f"is missing, or choose another column"
        )

    def texts(self, name: str) -> pl.Series:
        """A column as text; raises DataError at the first missing value."""
        values = self.frame[name].cast(pl.String)
        self._refuse_missing(name, values)
        return values

    def times(self, name: str) -> tuple[np.ndarray, str | None]:
        """A column as datetime64[us] or int64, and a note on what was changed.

        Raises:
            DataError: naming the first row that is missing or not in the form of the others.
        """
        values = self.frame[name]
        note = None
        if values.dtype == pl.String:
            values, note = self._parsed_times(name, values)
        self._refuse_missing(name, values)
        if values.dtype.is_integer():
            return values.cast(pl.Int64).to_numpy(), note
        if values.dtype == pl.Date or isinstance(values.dtype, pl.Datetime):
            if getattr(values.dtype, "time_zone", None):
                values = values.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
                note = f"times in '{name}' were converted to UTC"
            return values.cast(pl.Datetime("us")).to_numpy().astype("M8[us]"), note
        raise DataError(
            f"{self.name}: time column '{name}' must hold dates, times or integers but holds {values.dtype}; "
            f"write ISO dates such as 2024-01-31 or 2024-01-31 18:00:00, or whole numbers"
        )

    def _parsed_times(self, name: str, raw: pl.Series) -> tuple[pl.Series, str | None]:
        stripped = raw.str.strip_chars()
        text = stripped.set(stripped.is_in(MISSING), None)
        self._refuse_missing(name, text)
        if text[0].isdigit():
            parsed, note = text.cast(pl.Int64, strict=False), None
        elif _reads(text[:1] + "-01", "%Y-%m-%d"):
            parsed, note = (text + "-01").str.to_datetime("%Y-%m-%d", time_unit="us", strict=False), None
        elif (form := next((form for form in DATE_FORMATS if _reads(text[:1], form)), None)) is not None:
            parsed, note = text.str.to_datetime(form, time_unit="us", strict=False), None
        elif (form := next((form for form in ZONED_FORMATS if _reads(text[:1], form)), None)) is not None:
            zoned = text.str.to_datetime(form, time_unit="us", time_zone="UTC", strict=False)
            parsed, note = zoned.dt.replace_time_zone(None), f"times in '{name}' were converted to UTC"
        else:
            raise DataError(
                f"{self.name}: time column '{name}' must hold ISO dates, such as 2024-01-31 or "
                f"2024-01-31 18:00:00, or whole numbers, but {self.row(0)} has {text[0]!r}; rewrite it so"
            )
        wrong = parsed.is_null().arg_true().to_numpy()
        if len(wrong):
            raise DataError(
                f"{self.name}: times in '{name}' must all look like {text[0]!r} but "
                f"{self.row(int(wrong[0]))} "
                f"has {text[int(wrong[0])]!r}; write them in one form"
            )
        return parsed, note

    def _refuse_missing(self, name: str, values: pl.Series) -> None:
        missing = values.is_null().arg_true().to_numpy()
        if len(missing):
            raise DataError(
                f"{self.name}: column '{name}' must be filled in every row but is empty at "
                f"{self.rows(missing)}; "
                f"fill it in or remove these rows"
            )

    def require(self, names: Collection[str]) -> None:
        """Raise DataError for every name that is not a column, guessing the right ones."""
        require_columns(names, self.frame.columns, self.name)


def require_columns(names: Collection[str], columns: Collection[str], source: str) -> None:
    """Raise DataError for every name that is not a column, guessing the right ones."""
    wrong = [name for name in dict.fromkeys(names) if name not in columns]
    if wrong:
        told = " ".join(f"no column is called '{name}'{did_you_mean(name, columns)}" for name in wrong)
        raise DataError(f"{source}: {told}; use one of its columns: {', '.join(columns)}")


def column_names(source: Any) -> list[str]:
    """Names of the columns of a file or frame, without reading the rows."""
    if isinstance(source, str | Path):
        path = existing_file(source)
        with _reading(path):
            return _scan(path, text=(), sample_rows=1).collect_schema().names()
    return list(_native(source).collect_schema().names())


def has_dated_index(source: Any) -> bool:
    """Whether this is a pandas frame that keeps its time in the index."""
    if isinstance(source, str | Path):
        return False
    index = nw.maybe_get_index(_native(source))
    return index is not None and str(index.dtype).startswith("datetime64")


def read_sheet(source: Any, *, columns: Sequence[str], text: Collection[str] = ()) -> Sheet:
    """The named columns of a file (CSV, .csv.gz, Parquet) or frame (pandas, Polars, Arrow).

    Args:
        source: a path or a frame.
        columns: the columns to read.
        text: those of them that stay text even where they look like numbers.

    Raises:
        DataError: no such file, not a table, or no rows.
    """
    if isinstance(source, str | Path):
        path = existing_file(source)
        with _reading(path):
            frame = _collect(path, columns, text)
        sheet = Sheet(frame, path.name, None if _is_parquet(path) else 2)
    else:
        native = _native(source).select(*columns)
        eager = native.collect() if isinstance(native, nw.LazyFrame) else native
        sheet = Sheet(eager.to_polars(), "the table", None)
    if not sheet.frame.height:
        raise DataError(
            f"{sheet.name} must have at least one row but has none; check that it is the right one"
        )
    return sheet


def existing_file(source: str | Path) -> Path:
    """The path, if a file is there; otherwise a DataError with the nearest name in that folder."""
    path = Path(source)
    if path.is_file():
        return path
    if path.is_dir():
        raise DataError(f"'{path}' must be a file but is a folder; name a CSV or Parquet file in it")
    folder = path.parent
    names = sorted(entry.name for entry in folder.iterdir()) if folder.is_dir() else []
    where = f"in folder '{folder}'" if folder.is_dir() else f"and there is no folder '{folder}'"
    raise DataError(f"there is no file '{path.name}' {where}{did_you_mean(path.name, names)}")


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what the reader says about a damaged file into a DataError with its name."""
    try:
        yield
    except pl.exceptions.NoDataError as error:
        raise DataError(
            f"{path.name} must have a line of column names and rows but is empty; "
            f"check that it was written completely"
        ) from error
    except (PolarsError, OSError) as error:
        reason = str(error).strip().splitlines()[0].replace("utf-8 sequence", "UTF-8")
        raise DataError(
            f"{path.name} could not be read as a table: {reason}; open it and mend that place"
        ) from error


def _collect(path: Path, columns: Sequence[str], text: Collection[str]) -> pl.DataFrame:
    try:
        return _scan(path, text=text, sample_rows=SAMPLE_ROWS).select(columns).collect()
    except pl.exceptions.ComputeError:
        # A later row is of another type than the sample (a first decimal point, or text): let every row
        # decide, which reads the file twice.
        return _scan(path, text=text, sample_rows=None).select(columns).collect()


def _scan(path: Path, *, text: Collection[str], sample_rows: int | None) -> pl.LazyFrame:
    if _is_parquet(path):
        return pl.scan_parquet(path)
    if not path.name.endswith(CSV_SUFFIXES):
        raise DataError(
            f"a table is a file ending in {', '.join((*CSV_SUFFIXES, *PARQUET_SUFFIXES))} but this is "
            f"'{path.name}'; convert or rename it"
        )
    return pl.scan_csv(
        path,
        null_values=list(MISSING),
        infer_schema_length=sample_rows,
        schema_overrides=dict.fromkeys(text, pl.String),
    )


def _is_parquet(path: Path) -> bool:
    return path.name.endswith(PARQUET_SUFFIXES)


def _native(source: Any) -> nw.DataFrame[Any] | nw.LazyFrame[Any]:
    frame = nw.from_native(source, pass_through=True)
    if isinstance(frame, nw.DataFrame | nw.LazyFrame):
        return frame
    raise DataError(
        f"data must be a path or a frame of pandas, Polars or Arrow but is a {type(source).__name__}; "
        f"pass one of these"
    )


def _reads(value: pl.Series, form: str) -> bool:
    zone = "UTC" if form in ZONED_FORMATS else None
    return value.str.to_datetime(form, time_unit="us", time_zone=zone, strict=False).null_count() == 0
