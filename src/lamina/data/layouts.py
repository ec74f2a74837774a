"""Published files that are not yet a long table: one function for each layout."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import polars as pl

from lamina.data.frequency import Frequency
from lamina.data.series import SeriesTable, read_series


def read_ett(path: Path, *, rows: int, targets: str | Sequence[str]) -> SeriesTable:
    """Electricity transformer temperature: the first ``rows`` rows, as the published split uses them."""
    return read_series(pl.read_csv(path, n_rows=rows), target=targets, time="date")


def read_beijing_pm25(path: Path) -> SeriesTable:
    """Hourly air pollution, with its time from four columns and the weather as covariates."""
    frame = pl.read_csv(path, null_values="NA", infer_schema_length=None)
    dated = frame.with_columns(pl.datetime("year", "month", "day", "hour").alias("time"))
    return read_series(dated.drop("No", "year", "month", "day", "hour"), target="pm2.5", time="time")


def read_sp500(path: Path) -> SeriesTable:
    """Logarithm of the daily close; trading days are counted, as weekends are no gaps."""
    frame = pl.read_csv(path).select(pl.col("close").log().alias("log_close"))
    return read_series(frame, target="log_close", frequency=Frequency("1"))


def read_exchange_rate(path: Path) -> SeriesTable:
    """Eight currencies a day, a column each and no header."""
    frame = pl.read_csv(path, has_header=False)
    named = frame.rename({old: f"currency_{place}" for place, old in enumerate(frame.columns, start=1)})
    return read_series(named, target=named.columns, frequency=Frequency("1"))


def read_los_speed(path: Path) -> SeriesTable:
    """Five-minute traffic speeds, a column for each sensor, from 2012-03-01 on."""
    frame = pl.read_csv(path, infer_schema_length=None)
    first = pl.datetime(2012, 3, 1)
    dated = frame.with_columns(time=first + pl.duration(minutes=5) * pl.int_range(pl.len()))
    return read_series(dated, target=frame.columns, time="time")


def read_taylor(path: Path) -> SeriesTable:
    """Half-hours of electricity demand in one column, counted."""
    return read_series(path, target="Y", frequency=Frequency("1", (48, 336)))


def read_m4_hourly(train: Path, test: Path) -> SeriesTable:
    """M4 hourly: a row for each series, named by its first cell; the test part follows the training part."""
    parts = []
    for order, path in enumerate((train, test)):
        wide = pl.read_csv(path, infer_schema_length=None)
        long = wide.unpivot(index="V1", variable_name="column", value_name="y").drop_nulls("y")
        step = pl.col("column").str.strip_prefix("V").cast(pl.Int64)
        parts.append(long.select(pl.col("V1").alias("unique_id"), pl.lit(order).alias("part"), step, "y"))
    rows = pl.concat(parts, how="vertical_relaxed")
    number = pl.col("unique_id").str.strip_prefix("H").cast(pl.Int64)
    ordered = rows.sort(number, "part", "column").select("unique_id", "y")
    return read_series(ordered, target="y", frequency=Frequency("1", (24, 168)))


def read_tourism(train: Path, test: Path, *, step: str) -> SeriesTable:
    """Tourism competition: a column for each series, headed by its length, first year and first period."""
    frequency = Frequency.of(step)
    months = frequency.months
    header = 2 if step == "1y" else 3
    first, later = (pl.read_csv(path, infer_schema_length=None) for path in (train, test))
    parts = []
    for name in first.columns:
        year, period, values = _column(first[name], header)
        *_, continued = _column(later[name], header)
        y = [*values, *continued]
        begin = np.datetime64(f"{year:.0f}-{(period - 1) * months + 1:02.0f}-01", "us")
        ds = frequency.shift(np.repeat(begin, len(y)), np.arange(len(y)))
        parts.append(pl.DataFrame({"unique_id": name, "ds": ds, "y": y}))
    return read_series(pl.concat(parts), target="y", frequency=frequency)


def _column(values: pl.Series, header: int) -> tuple[float, float, list[float]]:
    """(first year, first period, the values) of a column whose first cell says how many values follow."""
    numbers = values.cast(pl.Float64).to_list()
    period = numbers[2] if header == 3 else 1.0
    # Cells below the stated count are stray numbers in one of the files.
    return numbers[1], period, numbers[header : header + int(numbers[0])]
