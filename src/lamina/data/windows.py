"""Examples cut from time: the only place that does so, and therefore the only one that could leak.

A window with origin o reads rows o-input_size to o-1 and forecasts rows o to o+horizon-1. Windows
keep one origin each; values are gathered when a batch is asked for, so memory does not grow with
the length of the windows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np

from lamina.data.series import SeriesTable
from lamina.data.splits import LEAST_HISTORY, Cuts
from lamina.errors import ConfigError, DataError

Part = Literal["validation", "test"]


class WindowBatch(NamedTuple):
    """Examples side by side: B windows, L = input_size rows of input, H = horizon rows to forecast.

    past_y: (B, L) float64, NaN where missing or before the series.
    past_valid: (B, L) bool, False before the start of the series.
    past_cov: (B, L, P) float32, past-only covariates, NaN as in past_y.
    future_cov: (B, L+H, F) float32, known-future covariates over input and horizon.
    static: (B, S) float32.
    target: (B, H) float64, NaN where missing or after the series.
    series: (B,) int64, position in table.ids.
    origin: (B,) int64, table row of the first forecast step.
    time: (B, L+H) datetime64[us] or int64, continued beyond the series by its frequency.
    """

    past_y: np.ndarray
    past_valid: np.ndarray
    past_cov: np.ndarray
    future_cov: np.ndarray
    static: np.ndarray
    target: np.ndarray
    series: np.ndarray
    origin: np.ndarray
    time: np.ndarray


@dataclass(frozen=True, eq=False)
class Windows:
    """Examples of one shape over a table.

    Args:
        table: what they are cut from.
        input_size: rows read.
        horizon: rows forecast.
        origins: (N,) int64, table row of each first forecast step; the end of a series is allowed.
        series: (N,) int64, the series of each window.
        future_after: (n_series, horizon, F) float32, known-future covariates after the end of each series,
            or None where windows stay inside.
    """

    table: SeriesTable
    input_size: int
    horizon: int
    origins: np.ndarray
    series: np.ndarray
    future_after: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.origins)

    def batch(self, indices: np.ndarray | slice) -> WindowBatch:
        """Gather these windows."""
        table, length = self.table, self.input_size
        series, origin = self.series[indices], self.origins[indices]
        first, stop = table.starts[series][:, None], table.starts[series + 1][:, None]
        rows = origin[:, None] + np.arange(-length, self.horizon)  # (B, L+H)
        inside = (rows >= first) & (rows < stop)
        nearest = np.clip(rows, first, stop - 1)
        y = np.where(inside, table.y[nearest], np.nan)
        past_cov = table.past[nearest[:, :length]]  # (B, L, P)
        past_cov[~inside[:, :length]] = np.nan
        future_cov = table.future[nearest]  # (B, L+H, F)
        future_cov[~inside] = np.nan
        if self.future_after is not None:
            window, step = np.nonzero(rows >= stop)
            future_cov[window, step] = self.future_after[series[window], (rows - stop)[window, step]]
        return WindowBatch(
            past_y=y[:, :length],
            past_valid=inside[:, :length],
            past_cov=past_cov,
            future_cov=future_cov,
            static=table.static[series],
            target=y[:, length:],
            series=series,
            origin=origin,
            time=self._times(rows, nearest, inside),
        )

    def _times(self, rows: np.ndarray, nearest: np.ndarray, inside: np.ndarray) -> np.ndarray:
        time: np.ndarray = self.table.time[nearest]
        outside = ~inside
        if outside.any():
            time[outside] = self.table.frequency.shift(time[outside], (rows - nearest)[outside])
        return time


def training_windows(
    table: SeriesTable,
    cuts: Cuts,
    *,
    input_size: int,
    horizon: int,
    stride: int = 1,
    min_observed: int = 1,
) -> Windows:
    """Every example whose whole target lies in the training part.

    Inputs that begin before the series are padded on the left, so a short series gives examples
    from its third row on.

    Args:
        table: the series.
        cuts: the parts of it.
        input_size: rows read, at least 1.
        horizon: rows forecast, at least 1.
        stride: rows between origins.
        min_observed: least observed values in the input; the target needs one.

    Raises:
        DataError: not one example remains.
    """
    windows = _rolling(
        table,
        np.full(table.n_series, LEAST_HISTORY, dtype=np.int64),
        cuts.train_end,
        input_size=input_size,
        horizon=horizon,
        stride=stride,
        min_observed=min_observed,
    )
    if not len(windows):
        raise DataError(
            f"a training example needs {LEAST_HISTORY} rows of history, {min_observed} of them observed, "
            f"and an "
            f"observed value in the next {horizon}, but the training parts (at most "
            f"{int(cuts.train_end.max())} "
            f"rows) hold none; use a smaller horizon or add rows"
        )
    return windows


def evaluation_windows(
    table: SeriesTable,
    cuts: Cuts,
    *,
    part: Part,
    input_size: int,
    horizon: int,
    stride: int = 1,
) -> Windows:
    """Examples whose whole target lies in one part, from its first row on; inputs may reach back.

    Windows without an observed value in input or target are left out, as nothing can be scored.

    Args:
        table: the series.
        cuts: the parts of it.
        part: "validation" or "test".
        input_size: rows read, at least 1.
        horizon: rows forecast, at least 1.
        stride: rows between origins.

    Raises:
        DataError: not one example remains.
    """
    if part == "validation":
        first, stop = cuts.train_end, cuts.validation_end
    elif part == "test":
        first, stop = cuts.validation_end, cuts.end
    else:
        raise ConfigError(f"part is 'validation' or 'test' but is '{part}'; use one of these")
    windows = _rolling(
        table, first, stop, input_size=input_size, horizon=horizon, stride=stride, min_observed=1
    )
    if not len(windows):
        raise DataError(
            f"the {part} part must hold a window with an observed value among {horizon} rows to forecast "
            f"and the "
            f"{input_size} before, but holds none; use a smaller horizon, or give the part more rows"
        )
    return windows


def last_windows(
    table: SeriesTable, *, input_size: int, horizon: int, future: np.ndarray | None = None
) -> Windows:
    """One example for each series, which forecasts the rows after its end.

    Args:
        table: the series.
        input_size: rows read, at least 1.
        horizon: rows forecast, at least 1.
        future: (n_series, horizon, F) known-future covariates (``read_future``), needed where the table
            has such columns.

    Raises:
        DataError: future covariates are missing or of another shape.
    """
    _check_sizes(input_size, horizon, 1)
    expected = (table.n_series, horizon, len(table.future_names))
    if table.future_names and (future is None or future.shape != expected):
        raise DataError(
            f"to forecast, the covariates known ahead ({', '.join(table.future_names)}) are needed for "
            f"the next "
            f"{horizon} steps of every series, {expected}, but "
            f"{'none were given' if future is None else f'these are {future.shape}'}; pass a table that "
            f"holds them"
        )
    return Windows(
        table, input_size, horizon, table.starts[1:].copy(), np.arange(table.n_series), future_after=future
    )


def _rolling(
    table: SeriesTable,
    first: np.ndarray,
    stop: np.ndarray,
    *,
    input_size: int,
    horizon: int,
    stride: int,
    min_observed: int,
) -> Windows:
    """Windows whose targets lie in rows first[i]:stop[i] of series i, ``stride`` apart from first[i] on."""
    _check_sizes(input_size, horizon, stride)
    counts = np.maximum((stop - horizon - first) // stride + 1, 0)
    series = np.repeat(np.arange(table.n_series), counts)
    place = np.arange(len(series)) - np.repeat(np.cumsum(counts) - counts, counts)
    origins = (table.starts[:-1] + first)[series] + place * stride
    seen = np.concatenate([[0], np.cumsum(~np.isnan(table.y))])
    begin = np.maximum(origins - input_size, table.starts[series])
    useful = seen[origins] - seen[begin] >= min_observed
    useful &= seen[origins + horizon] > seen[origins]
    return Windows(table, input_size, horizon, origins[useful], series[useful])


def _check_sizes(input_size: int, horizon: int, stride: int) -> None:
    for name, value in (("input_size", input_size), ("horizon", horizon), ("stride", stride)):
        if value < 1:
            raise ConfigError(f"{name} is at least 1 row but is {value}; use a positive number")
