"""Methods to beat in forecasting: naive, seasonal and statistical ones here, those on lags beside them.

Each is fitted on the training part, predicts windows from what lies before each origin, and keeps to a time
limit. Where it had no time for a window its forecast is NaN, so that comparisons can be restricted to the
windows it did forecast.
"""

# Every baseline takes what any of them needs.
# ruff: noqa: ARG002

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

import numpy as np

from lamina.data.series import SeriesTable
from lamina.data.splits import Cuts
from lamina.data.windows import Windows
from lamina.errors import DataError
from lamina.study.baselines import FIT_SHARE, Array, BaselineRun, filled, run_baseline
from lamina.study.lag_baselines import BoostedLags, LinearWindow

# A fit of AutoETS with season 24 takes 0.7 s on 600 rows; older rows hardly change it.
HISTORY_ROWS = 1_000
# statsforecast's ETS has no seasons above this.
LONGEST_ETS_SEASON = 24


class ForecastBaseline(Protocol):
    """What every forecasting baseline offers, also where it has no use for an argument.

    ``notes`` are complete after ``predict``.
    """

    notes: list[str]

    def fit(
        self, table: SeriesTable, cuts: Cuts, *, input_size: int, horizon: int, deadline_s: float, seed: int
    ) -> None:
        """Learn from the training part, with the validation part to choose settings."""

    def predict(self, windows: Windows) -> Array:
        """(N, horizon) forecasts in the order of ``windows``; NaN where there was no time or no history."""


def run_forecast_baseline(
    name: str,
    table: SeriesTable,
    cuts: Cuts,
    parts: tuple[Windows, ...],
    *,
    deadline_s: float,
    seed: int = 0,
) -> BaselineRun:
    """Fit one of FORECAST_BASELINES and predict each of ``parts``; a failure is an outcome, not an error."""
    model = FORECAST_BASELINES[name]()

    def fit() -> None:
        model.fit(
            table,
            cuts,
            input_size=parts[0].input_size,
            horizon=parts[0].horizon,
            deadline_s=deadline_s,
            seed=seed,
        )

    return run_baseline(name, fit, [partial(model.predict, part) for part in parts], model.notes)


class Naive:
    """The last observed value, for every step."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(
        self, table: SeriesTable, cuts: Cuts, *, input_size: int, horizon: int, deadline_s: float, seed: int
    ) -> None:
        """There is nothing to learn."""

    def predict(self, windows: Windows) -> Array:
        """(N, horizon)."""
        return np.repeat(_last_observed(windows)[:, None], windows.horizon, axis=1)


class SeasonalNaive:
    """The value one season before, or as many seasons before as it takes to find an observed one."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(
        self, table: SeriesTable, cuts: Cuts, *, input_size: int, horizon: int, deadline_s: float, seed: int
    ) -> None:
        """There is nothing to learn; the season is the table's."""
        self.notes.append(f"season {table.frequency.season}")

    def predict(self, windows: Windows) -> Array:
        """(N, horizon)."""
        table, season = windows.table, windows.table.frequency.season
        steps = np.arange(windows.horizon)
        rows = windows.origins[:, None] + steps - season * (steps // season + 1)  # (N, horizon)
        first = table.starts[windows.series][:, None]
        found = np.full(rows.shape, np.nan)
        for _ in range(10):
            there = np.isnan(found) & (rows >= first)
            found[there] = table.y[rows[there]]
            rows = rows - season
        last = np.broadcast_to(_last_observed(windows)[:, None], found.shape)
        return np.where(np.isnan(found), last, found)


class Statistical:
    """A model of statsforecast for each series: fitted once at the end of training, then rolled forward.

    At each origin the parameters stay and the state is computed anew from the rows up to it. Gaps in these
    rows are filled by a straight line between observed values of the past, the newest by the last value.

    Args:
        make: gives an unfitted model for a season.
        longest_season: the largest season of the table that the model can use, or None for any.
    """

    def __init__(self, make: Callable[[int], Any], longest_season: int | None) -> None:
        self.notes: list[str] = []
        self._make = make
        self._longest_season = longest_season

    def fit(
        self, table: SeriesTable, cuts: Cuts, *, input_size: int, horizon: int, deadline_s: float, seed: int
    ) -> None:
        """Fit the series in random order until the time is up."""
        begin = time.perf_counter()
        season = self._season(table)
        keep = self._keep = max(HISTORY_ROWS, 5 * season)
        order = np.random.default_rng(seed).permutation(table.n_series)
        stops = table.starts[:-1] + cuts.train_end
        self._begins = np.maximum(table.starts[:-1], stops - keep)
        self._models: dict[int, Any] = {}
        self._predict_s, self._seed = (1 - FIT_SHARE) * deadline_s, seed
        reasons: list[str] = []
        for count, series in enumerate(order):
            if count and time.perf_counter() - begin > FIT_SHARE * deadline_s:
                break
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # about settings the search tries and drops
                    history = filled(table.y[self._begins[series] : stops[series]])
                    self._models[int(series)] = self._make(season).fit(history)
            except Exception as error:
                # One odd series must not cost the others theirs; it is counted and told.
                reasons.append(f"{type(error).__name__}: {error}")
        if not self._models:
            raise DataError(f"no series could be fitted; the last reason: {reasons[-1]}")
        self._note_caps(table, season, keep, reasons)

    def _season(self, table: SeriesTable) -> int:
        usable = [s for s in table.frequency.seasons if s <= (self._longest_season or s)]
        if table.frequency.seasons and not usable:
            self.notes.append(f"no season, as {self._longest_season} steps are the longest it has")
        return usable[0] if usable else 1

    def _note_caps(self, table: SeriesTable, season: int, keep: int, reasons: list[str]) -> None:
        if season > 1:
            self.notes.append(f"season {season}")
        if table.lengths.max() > keep:
            self.notes.append(f"fitted on the last {keep:,} training rows, rolled over at most {2 * keep:,}")
        if np.isnan(table.y).any():
            self.notes.append("gaps of the past filled by straight lines")
        if reasons:
            self.notes.append(f"{len(reasons)} series could not be fitted ({reasons[-1]})")
        left = table.n_series - len(self._models) - len(reasons)
        if left:
            self.notes.append(f"fitted on {len(self._models):,} of {table.n_series:,} series in its time")

    def predict(self, windows: Windows) -> Array:
        """(N, horizon); NaN for windows of series without a model or after the time was up."""
        begin = time.perf_counter()
        found = np.full((len(windows), windows.horizon), np.nan)
        able = np.flatnonzero(np.isin(windows.series, list(self._models)))
        done = 0
        for window in np.random.default_rng(self._seed).permutation(able):
            if done and time.perf_counter() - begin > self._predict_s:
                break
            series = int(windows.series[window])
            origin = int(windows.origins[window])
            history = filled(windows.table.y[max(self._begins[series], origin - 2 * self._keep) : origin])
            found[window] = self._models[series].forward(y=history, h=windows.horizon)["mean"]
            done += 1
        note = f"forecast {done:,} of {len(windows):,} origins, drawn at random, in its time"
        if done < len(windows) and note not in self.notes:
            self.notes.append(note)
        found[~np.isfinite(found).all(axis=1)] = np.nan
        return found


def _last_observed(windows: Windows) -> Array:
    """(N,) the newest value before each origin; NaN where the series has none."""
    y = windows.table.y
    newest = np.maximum.accumulate(np.where(np.isnan(y), -1, np.arange(len(y))))
    row = newest[np.maximum(windows.origins - 1, 0)]
    there = row >= windows.table.starts[windows.series]
    return np.where(there, y[row], np.nan)


def _auto_theta(season: int) -> Any:
    from statsforecast.models import AutoTheta

    return AutoTheta(season_length=season)


def _auto_ets(season: int) -> Any:
    from statsforecast.models import AutoETS

    return AutoETS(season_length=season, model="ZZZ")


FORECAST_BASELINES: dict[str, Callable[[], ForecastBaseline]] = {
    "naive": Naive,
    "seasonal naive": SeasonalNaive,
    "AutoTheta": lambda: Statistical(_auto_theta, longest_season=None),
    "AutoETS": lambda: Statistical(_auto_ets, longest_season=LONGEST_ETS_SEASON),
    "linear window": LinearWindow,
    "LightGBM": BoostedLags,
}
