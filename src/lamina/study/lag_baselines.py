"""Methods to beat that learn from lags: ridge regression on the window, and boosted trees."""

# Every baseline takes what any of them needs.
# ruff: noqa: ARG002

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lamina.data.calendar import calendar_features
from lamina.data.series import SeriesTable
from lamina.data.splits import Cuts
from lamina.data.windows import WindowBatch, Windows, evaluation_windows, training_windows
from lamina.study.baselines import FIT_SHARE, Array

BATCH_VALUES = 4_000_000
LINEAR_WINDOWS = 50_000
BOOSTING_ROWS = 200_000
# Steps taken from one window on average, as gathering a window costs more than an example of it.
BOOSTING_STEPS = 8
# A loaded core gathers, bins and boosts about this many rows a second; the least still makes a model.
BOOSTING_ROWS_PER_S = 4_000
BOOSTING_LEAST_ROWS = 20_000
BOOSTING_LAGS = 48
BOOSTING_THREADED_ROWS = 20_000


class LinearWindow:
    """One linear map from the window to the horizon for all series, by ridge regression.

    Windows are centred on their last value and divided by their standard deviation, so the penalty, which is
    chosen on the validation part, pulls towards the naive forecast.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(
        self, table: SeriesTable, cuts: Cuts, *, input_size: int, horizon: int, deadline_s: float, seed: int
    ) -> None:
        """Closed form from sums over the training windows."""
        train = training_windows(table, cuts, input_size=input_size, horizon=horizon)
        valid = evaluation_windows(table, cuts, part="validation", input_size=input_size, horizon=horizon)
        rng = np.random.default_rng(seed)
        if len(train) > LINEAR_WINDOWS:
            self.notes.append(f"fitted on {LINEAR_WINDOWS:,} of {len(train):,} training windows")
        # Windows padded before the start of a series blur the map; they are used where whole ones are few.
        padded = bool(np.median(cuts.train_end) < 2 * (input_size + horizon))
        size = input_size + 1
        gram, cross = np.zeros((size, size)), np.zeros((size, horizon))
        for batch in _batches(train, _draw(len(train), LINEAR_WINDOWS, rng)):
            x, y, _, _ = _normalised(batch)
            complete = ~np.isnan(y).any(axis=1) & (batch.past_valid.all(axis=1) | padded)
            gram += x[complete].T @ x[complete]
            cross += x[complete].T @ y[complete]
        check = valid.batch(_draw(len(valid), 2_000, rng))
        values, vectors = np.linalg.eigh(gram)
        values, turned = np.maximum(values, 0), vectors.T @ cross
        maps = [
            vectors @ (turned / (values + strength * max(values.mean(), 1e-12))[:, None])
            for strength in np.logspace(-6, 2, 9)
        ]
        errors = [_mean_absolute_error(check, weights) for weights in maps]
        self._weights = maps[int(np.argmin(errors))]

    def predict(self, windows: Windows) -> Array:
        """(N, horizon)."""
        found = np.empty((len(windows), windows.horizon))
        for chosen in _chunks(np.arange(len(windows)), windows.input_size + windows.horizon):
            x, _, centre, scale = _normalised(windows.batch(chosen))
            found[chosen] = centre + scale * (x @ self._weights)
        return found


class BoostedLags:
    """LightGBM: one model for all series and steps, on lags, calendar and covariates.

    An example is one step ahead of one window: the last values, the value one season before the step, the
    mean of the window, the step, the calendar and the known covariates at the step, the newest past-only
    covariates. Values are centred and scaled as in LinearWindow; the loss is absolute.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(
        self, table: SeriesTable, cuts: Cuts, *, input_size: int, horizon: int, deadline_s: float, seed: int
    ) -> None:
        """Boost until the validation error has not fallen for 30 rounds, or the time is up."""
        begin = time.perf_counter()
        import lightgbm

        train = training_windows(table, cuts, input_size=input_size, horizon=horizon)
        valid = evaluation_windows(table, cuts, part="validation", input_size=input_size, horizon=horizon)
        rng = np.random.default_rng(seed)
        most = int(np.clip(BOOSTING_ROWS_PER_S * deadline_s, BOOSTING_LEAST_ROWS, BOOSTING_ROWS))
        if len(train) * horizon > most:
            self.notes.append(f"fitted on at most {most:,} of {len(train) * horizon:,} training rows")
        x, y = _boosting_rows(train, most, rng)
        train_set = lightgbm.Dataset(x, y)
        valid_set = lightgbm.Dataset(*_boosting_rows(valid, most // 5, rng), reference=train_set)

        def stop_in_time(state: Any) -> None:
            if time.perf_counter() - begin > FIT_SHARE * deadline_s:
                self.notes.append(f"stopped after {state.iteration + 1} rounds as its time was up")
                raise lightgbm.callback.EarlyStopException(state.iteration, state.evaluation_result_list)

        self._model = lightgbm.train(
            {
                "objective": "l1",
                "learning_rate": 0.1,
                "num_leaves": 31,
                "feature_fraction": 0.8,
                "seed": seed,
                "deterministic": True,
                "force_row_wise": True,
                "verbosity": -1,
                # threads that meet at each split of a small tree cost more than they bring
                "num_threads": 1 if len(y) < BOOSTING_THREADED_ROWS else 0,
            },
            train_set,
            num_boost_round=500,
            valid_sets=[valid_set],
            callbacks=[lightgbm.early_stopping(30, verbose=False), stop_in_time],
        )

    def predict(self, windows: Windows) -> Array:
        """(N, horizon)."""
        found = np.empty((len(windows), windows.horizon))
        width = windows.horizon * (BOOSTING_LAGS + 16) + windows.input_size
        for chosen in _chunks(np.arange(len(windows)), width):
            batch = windows.batch(chosen)
            steps = np.tile(np.arange(windows.horizon), len(chosen))
            row = np.repeat(np.arange(len(chosen)), windows.horizon)
            x = _boosting_features(batch, windows, row, steps)
            _, _, centre, scale = _normalised(batch)
            ahead = np.asarray(self._model.predict(x), np.float64)
            found[chosen] = centre + scale * ahead.reshape(len(chosen), -1)
        return found


def _draw(n: int, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """At most ``most`` positions of ``n``, in order."""
    return np.arange(n) if n <= most else np.sort(rng.choice(n, most, replace=False))


def _chunks(positions: NDArray[np.int64], width: int) -> Iterator[NDArray[np.int64]]:
    size = max(1, BATCH_VALUES // width)
    for first in range(0, len(positions), size):
        yield positions[first : first + size]


def _batches(windows: Windows, positions: NDArray[np.int64]) -> Iterator[WindowBatch]:
    for chosen in _chunks(positions, windows.input_size + windows.horizon):
        yield windows.batch(chosen)


def _normalised(batch: WindowBatch) -> tuple[Array, Array, Array, Array]:
    """Inputs and a constant (B, L+1), targets (B, H), and the centre and scale (B, 1) of each window."""
    past = batch.past_y
    seen = ~np.isnan(past)
    newest = past.shape[1] - 1 - np.argmax(seen[:, ::-1], axis=1)
    centre = np.take_along_axis(past, newest[:, None], axis=1)  # (B, 1)
    centred = np.where(seen, past - centre, 0.0)
    count = np.maximum(seen.sum(axis=1, keepdims=True), 1)
    mean = centred.sum(axis=1, keepdims=True) / count
    spread = np.sqrt((np.where(seen, centred - mean, 0.0) ** 2).sum(axis=1, keepdims=True) / count)
    scale = np.where(spread > 1e-9 * (1e-300 + np.abs(centre)), spread, 1.0)
    x = np.hstack([centred / scale, np.ones((len(past), 1))])
    return x, (batch.target - centre) / scale, centre, scale


def _mean_absolute_error(batch: WindowBatch, weights: Array) -> float:
    x, y, _, _ = _normalised(batch)
    return float(np.nanmean(np.abs(y - x @ weights)))


def _boosting_rows(windows: Windows, most: int, rng: np.random.Generator) -> tuple[Array, Array]:
    """Features (rows, columns) and normalised targets (rows,) of at most ``most`` examples."""
    drawn = _draw(len(windows), max(1, most // min(BOOSTING_STEPS, windows.horizon)), rng)
    examples = _draw(len(drawn) * windows.horizon, most, rng)
    place, steps = np.divmod(examples, windows.horizon)
    window = drawn[place]
    features, targets = [], []
    unique, place = np.unique(window, return_inverse=True)
    for chosen in _chunks(np.arange(len(unique)), windows.input_size + windows.horizon):
        here = np.flatnonzero((place >= chosen[0]) & (place <= chosen[-1]))
        batch = windows.batch(unique[chosen])
        row = place[here] - chosen[0]
        y = _normalised(batch)[1][row, steps[here]]
        known = ~np.isnan(y)
        features.append(_boosting_features(batch, windows, row[known], steps[here][known]))
        targets.append(y[known])
    return np.concatenate(features), np.concatenate(targets)


def _boosting_features(
    batch: WindowBatch, windows: Windows, row: NDArray[np.int64], steps: NDArray[np.int64]
) -> Array:
    """(examples, columns): example i is step ``steps[i]`` ahead of window ``row[i]`` of the batch."""
    length = windows.input_size
    x, _, centre, scale = _normalised(batch)
    lags = x[:, max(0, length - BOOSTING_LAGS) : length]
    columns = [lags[row], x[:, :length].mean(axis=1)[row, None], steps[:, None]]
    for season in windows.table.frequency.seasons:
        # the newest row of the window that lies whole seasons before the step
        column = length + steps - season * (steps // season + 1)
        inside = column >= 0
        same = np.full(len(row), np.nan)
        same[inside] = batch.past_y[row[inside], column[inside]]
        columns.append((same[:, None] - centre[row]) / scale[row])
    columns += [
        calendar_features(batch.time[row, length + steps], windows.table.frequency),
        batch.future_cov[row, length + steps],
        batch.past_cov[row, -1],
        batch.static[row],
    ]
    return np.hstack([np.asarray(column, np.float64) for column in columns])
