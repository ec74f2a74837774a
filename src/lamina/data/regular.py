"""Rows on a regular grid: sorted, each time once, no step left out."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Literal

import numpy as np

from lamina.data.frequency import Frequency
from lamina.data.sheet import Sheet
from lamina.errors import DataError

Duplicates = Literal["error", "first", "last", "mean"]
Gaps = Literal["error", "missing"]

# A grid finer than the data would fill memory with missing rows; ten to one is no longer a gap.
MAX_GROWTH = 10


@dataclass(frozen=True)
class Rows:
    """Rows of all series, one array a column.

    Args:
        series: (rows,) int64, which series.
        time: (rows,) datetime64[us] or int64.
        position: (rows,) int64 in the source, for messages.
        y: (rows,) float64.
        future: (rows, F) float32.
        past: (rows, P) float32.
    """

    series: np.ndarray
    time: np.ndarray
    position: np.ndarray
    y: np.ndarray
    future: np.ndarray
    past: np.ndarray

    def __len__(self) -> int:
        return len(self.y)

    def take(self, index: np.ndarray) -> Rows:
        """The rows at these positions, or where this mask holds."""
        return Rows(*(getattr(self, field.name)[index] for field in fields(self)))

    @property
    def follows(self) -> np.ndarray:
        """(rows,) bool: the row before belongs to the same series."""
        same = np.zeros(len(self), dtype=bool)
        same[1:] = self.series[1:] == self.series[:-1]
        return same


def in_time_order(rows: Rows) -> Rows:
    """Rows by series, then time; rows of equal time keep the order of the source."""
    order = np.lexsort((rows.time, rows.series))
    return rows if np.array_equal(order, np.arange(len(order))) else rows.take(order)


def merge_duplicates(rows: Rows, duplicates: Duplicates, *, ids: tuple[str, ...], sheet: Sheet) -> Rows:
    """One row for each time of a series.

    Args:
        rows: in time order.
        duplicates: "error", or which of the rows stay: "first", "last", or their "mean" (missing values
            left out; categories become shares).
        ids: names of the series.
        sheet: the source, for messages.
    """
    repeats = rows.follows
    repeats[1:] &= rows.time[1:] == rows.time[:-1]
    if not repeats.any():
        return rows
    if duplicates == "error":
        first = int(np.flatnonzero(repeats)[0])
        raise DataError(
            f"{sheet.name}: each time stands once in a series but series '{ids[rows.series[first]]}' has "
            f"{_stamp(rows.time[first])} at {sheet.rows(rows.position[first - 1 : first + 1])} "
            f"({int(repeats.sum())} repeated rows in all); choose which to keep with duplicates= "
            f"(--duplicates first, last or mean), or name the column that tells the series apart with id= "
            f"(--id)"
        )
    if duplicates == "first":
        return rows.take(~repeats)
    if duplicates == "last":
        return rows.take(~np.append(repeats[1:], False))
    begins = np.flatnonzero(~repeats)
    return replace(
        rows.take(begins),
        y=_mean_of_groups(rows.y, begins),
        future=_mean_of_groups(rows.future, begins),
        past=_mean_of_groups(rows.past, begins),
    )


def fill_gaps(rows: Rows, frequency: Frequency, gaps: Gaps, *, ids: tuple[str, ...], sheet: Sheet) -> Rows:
    """Every step of a series has its row; an inserted row is missing (NaN) in every column.

    Args:
        rows: in time order, without duplicates.
        frequency: the grid, which begins at the first row of each series.
        gaps: "error", or "missing" to insert rows.
        ids: names of the series.
        sheet: the source, for messages.
    """
    follows = rows.follows
    firsts = np.flatnonzero(~follows)
    group = np.cumsum(~follows) - 1
    step, on_grid = frequency.position(rows.time, rows.time[firsts][group])
    if not on_grid.all():
        wrong = np.flatnonzero(~on_grid)
        raise DataError(
            f"{sheet.name}: time stamps must be whole steps of {frequency.step} apart but series "
            f"'{ids[rows.series[wrong[0]]]}' leaves that grid at {sheet.rows(rows.position[wrong])} "
            f"(first {_stamp(rows.time[wrong[0]])}); name the true step with frequency= (--frequency), or "
            f"resample the "
            f"data to one step before"
        )
    jumps = np.flatnonzero(follows & (np.diff(step, prepend=0) > 1))
    if not len(jumps):
        return rows
    if gaps == "error":
        first = int(jumps[0])
        raise DataError(
            f"{sheet.name}: rows must be {frequency.step} apart but series '{ids[rows.series[first]]}' "
            f"jumps from "
            f"{_stamp(rows.time[first - 1])} to {_stamp(rows.time[first])} at "
            f"{sheet.row(int(rows.position[first]))} "
            f"({len(jumps)} gaps in all: {sheet.rows(rows.position[jumps])}); insert the missing rows as "
            f"missing "
            f"values with gaps='missing' (--gaps missing), or name the step with frequency= (--frequency)"
        )
    return _spread(rows, frequency, step, firsts)


def _spread(rows: Rows, frequency: Frequency, step: np.ndarray, firsts: np.ndarray) -> Rows:
    lasts = np.append(firsts[1:], len(rows)) - 1
    lengths = step[lasts] + 1
    total = int(lengths.sum())
    if total > MAX_GROWTH * (len(rows) + 100):
        raise DataError(
            f"inserting the missing rows would turn {len(rows):,} rows into {total:,} at a step of "
            f"{frequency.step}; name the true step with frequency= (--frequency), or resample the data before"
        )
    starts = np.concatenate([[0], np.cumsum(lengths)])
    group = np.repeat(np.arange(len(firsts)), lengths)
    target = starts[np.cumsum(~rows.follows) - 1] + step
    position = np.full(total, -1, dtype=np.int64)
    position[target] = rows.position
    return Rows(
        series=rows.series[firsts][group],
        time=frequency.shift(rows.time[firsts][group], np.arange(total) - starts[group]),
        position=position,
        y=_scatter(rows.y, target, total),
        future=_scatter(rows.future, target, total),
        past=_scatter(rows.past, target, total),
    )


def _scatter(values: np.ndarray, target: np.ndarray, total: int) -> np.ndarray:
    spread = np.full((total, *values.shape[1:]), np.nan, dtype=values.dtype)
    spread[target] = values
    return spread


def _mean_of_groups(values: np.ndarray, begins: np.ndarray) -> np.ndarray:
    """Mean of the rows of each group without NaN; NaN where all are."""
    seen = np.add.reduceat(~np.isnan(values), begins, axis=0, dtype=np.int64)
    total = np.add.reduceat(np.nan_to_num(values, nan=0.0), begins, axis=0)
    mean = np.full(total.shape, np.nan, dtype=values.dtype)
    np.divide(total, seen, out=mean, where=seen > 0)
    return mean


def _stamp(time: np.datetime64 | np.int64) -> str:
    """A time without the zeros that say nothing."""
    return str(time).removesuffix(".000000").removesuffix("T00:00:00")
