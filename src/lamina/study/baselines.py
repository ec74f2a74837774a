"""The methods a recurrent network has to beat: trivial, statistical, linear and boosted ones.

A forecasting baseline is fitted on the training part and predicts windows from what lies before each origin.
Each keeps to a time limit and tells in ``notes`` every cap it needed. Where it had no time for a window its
forecast is NaN, so that comparisons can be restricted to the windows it did forecast.
"""

# Every baseline takes what any of them needs.
# ruff: noqa: ARG002

from __future__ import annotations

import time
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from lamina._optional import require
from lamina.data.calendar import calendar_features
from lamina.data.labelled import LabelledSequences
from lamina.data.series import SeriesTable
from lamina.data.splits import Cuts
from lamina.data.windows import WindowBatch, Windows, evaluation_windows, training_windows
from lamina.errors import DataError

Array = NDArray[np.float64]

# Fitting takes this share of a deadline at most; the rest is for one call of predict.
FIT_SHARE = 0.6
# A fit of AutoETS with season 24 takes 0.7 s on 600 rows; older rows hardly change it.
HISTORY_ROWS = 1_000
# statsforecast's ETS has no seasons above this.
LONGEST_ETS_SEASON = 24
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
# Longer sequences are resampled to this for convolutional features, whose memory grows with length.
ROCKET_STEPS = 1_024
ROCKET_LEAST_STEPS = 9
RIDGE_STRENGTHS = np.logspace(-3, 3, 10)


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


class ClassifyBaseline(Protocol):
    """What every classification baseline offers."""

    notes: list[str]

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Learn from ``train``; ``valid`` calibrates the probabilities."""

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes) probabilities in the order of ``data.classes``."""


@dataclass(frozen=True, eq=False)
class BaselineRun:
    """How a baseline did: its predictions by part, or why there are none."""

    name: str
    outcome: Literal["complete", "failed"]
    predictions: tuple[Array, ...]
    train_s: float
    predict_s: float
    notes: tuple[str, ...] = ()
    reason: str = ""


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

    return _run(name, fit, [partial(model.predict, part) for part in parts], model.notes)


def run_classify_baseline(
    name: str,
    train: LabelledSequences,
    valid: LabelledSequences,
    parts: tuple[LabelledSequences, ...],
    *,
    seed: int = 0,
) -> BaselineRun:
    """Fit one of CLASSIFY_BASELINES and predict each of ``parts``; a failure is an outcome, not an error."""
    model = CLASSIFY_BASELINES[name]()
    return _run(
        name,
        lambda: model.fit(train, valid, seed=seed),
        [partial(model.predict_proba, part) for part in parts],
        model.notes,
    )


def _run(
    name: str, fit: Callable[[], None], predict: list[Callable[[], Array]], notes: list[str]
) -> BaselineRun:
    begin = fitted = time.perf_counter()
    try:
        fit()
        fitted = time.perf_counter()
        predictions = tuple(one() for one in predict)
    except Exception as error:
        # Whatever a foreign package raises on odd data, the study goes on and tells.
        seconds = time.perf_counter() - begin
        return BaselineRun(name, "failed", (), seconds, 0.0, tuple(notes), f"{type(error).__name__}: {error}")
    done = time.perf_counter()
    return BaselineRun(name, "complete", predictions, fitted - begin, done - fitted, tuple(notes))


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
                    history = _filled(table.y[self._begins[series] : stops[series]])
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
            history = _filled(windows.table.y[max(self._begins[series], origin - 2 * self._keep) : origin])
            found[window] = self._models[series].forward(y=history, h=windows.horizon)["mean"]
            done += 1
        note = f"forecast {done:,} of {len(windows):,} origins, drawn at random, in its time"
        if done < len(windows) and note not in self.notes:
            self.notes.append(note)
        found[~np.isfinite(found).all(axis=1)] = np.nan
        return found


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


def _last_observed(windows: Windows) -> Array:
    """(N,) the newest value before each origin; NaN where the series has none."""
    y = windows.table.y
    newest = np.maximum.accumulate(np.where(np.isnan(y), -1, np.arange(len(y))))
    row = newest[np.maximum(windows.origins - 1, 0)]
    there = row >= windows.table.starts[windows.series]
    return np.where(there, y[row], np.nan)


def _filled(history: Array) -> Array:
    """History with gaps on straight lines between observed values, flat at its ends."""
    seen = np.flatnonzero(~np.isnan(history))
    if len(seen) == len(history):
        return history
    if not len(seen):
        raise DataError("a series needs an observed value in its history but has none; leave it out")
    filled: Array = np.interp(np.arange(len(history)), seen, history[seen])
    return filled


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


def _auto_theta(season: int) -> Any:
    from statsforecast.models import AutoTheta

    return AutoTheta(season_length=season)


def _auto_ets(season: int) -> Any:
    from statsforecast.models import AutoETS

    return AutoETS(season_length=season, model="ZZZ")


class Majority:
    """The shares of the classes in training, for every sequence."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Count the classes."""
        counts = np.bincount(train.labels[train.labels >= 0], minlength=len(train.classes))
        self._shares = counts / counts.sum()

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes)."""
        return np.tile(self._shares, (len(data), 1))


class RidgeOnSummaries:
    """Ridge on statistics of each feature (level, spread, extremes, rise, roughness) and the length."""

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Closed form."""
        self._ridge = _CalibratedRidge(
            _summaries(train), train.labels, _summaries(valid), valid.labels, len(train.classes)
        )

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes)."""
        return self._ridge.predict_proba(_summaries(data))


class Rocket:
    """Ridge on the features of Hydra, random convolutions that compete, of the ROCKET family; by aeon.

    Sequences are standardised by the training mean and deviation of each feature, missing values set to the
    mean, those above 1,024 steps resampled to that by straight lines, and shorter ones padded at the end with
    the mean to the longest of training. Hydra was taken for running on torch: MiniRocket compiles for 43 s on
    its first use (2 cores, aeon 1.6).

    Source: Dempster, Schmidt & Webb 2023, doi:10.1007/s10618-023-00939-3.
    """

    def __init__(self) -> None:
        self.notes: list[str] = []

    def fit(self, train: LabelledSequences, valid: LabelledSequences, *, seed: int) -> None:
        """Draw the convolutions, then closed form."""
        require("aeon", extra="rocket")
        from aeon.transformations.collection.convolution_based import HydraTransformer

        self._mean = np.nanmean(train.values, axis=0)
        deviation = np.nanstd(train.values, axis=0)
        self._deviation = np.where(deviation > 0, deviation, 1.0)
        longest = int(train.lengths.max())
        self._steps = max(ROCKET_LEAST_STEPS, min(longest, ROCKET_STEPS))
        if train.lengths.min() < self._steps:
            self.notes.append(f"sequences padded at the end with the mean to {self._steps} steps")
        if longest > ROCKET_STEPS:
            self.notes.append(f"sequences above {ROCKET_STEPS:,} steps resampled to that")
        self._hydra = HydraTransformer(random_state=seed, output_type="numpy")
        with _TorchAsItWas():
            self._hydra.fit(self._stacked(train, np.arange(min(len(train), 2))))
        self._ridge = _CalibratedRidge(
            self._features(train), train.labels, self._features(valid), valid.labels, len(train.classes)
        )

    def predict_proba(self, data: LabelledSequences) -> Array:
        """(n, classes)."""
        return self._ridge.predict_proba(self._features(data))

    def _features(self, data: LabelledSequences) -> Array:
        size = max(1, 16_000_000 // (512 * self._steps))  # values in one layer of 512 convolutions
        found = []
        for first in range(0, len(data), size):
            chosen = np.arange(first, min(first + size, len(data)))
            counts = np.asarray(self._hydra.transform(self._stacked(data, chosen)), np.float64)
            found.append(np.sqrt(np.maximum(counts, 0)))
        return np.concatenate(found)

    def _stacked(self, data: LabelledSequences, chosen: NDArray[np.int64]) -> NDArray[np.float32]:
        """(n, F, steps)."""
        stacked = np.zeros((len(chosen), data.n_features, self._steps), np.float32)
        for place, index in enumerate(chosen):
            sequence = np.nan_to_num((data[index] - self._mean) / self._deviation).T  # (F, T)
            length = sequence.shape[1]
            if length > self._steps:
                at = np.linspace(0, length - 1, self._steps)
                sequence = np.stack([np.interp(at, np.arange(length), row) for row in sequence])
            stacked[place, :, : sequence.shape[1]] = sequence
        return stacked


class _TorchAsItWas:
    """Keeps torch's random state and thread count, which Hydra's fit sets for the whole process."""

    def __enter__(self) -> None:
        import torch

        self._threads, self._random = torch.get_num_threads(), torch.get_rng_state()

    def __exit__(self, *_: object) -> None:
        import torch

        torch.set_num_threads(self._threads)
        torch.set_rng_state(self._random)


class _CalibratedRidge:
    """Ridge classifier; a softmax, its sharpness chosen on the validation part, makes probabilities."""

    def __init__(
        self,
        x: Array,
        labels: NDArray[np.int64],
        valid_x: Array,
        valid_labels: NDArray[np.int64],
        n_classes: int,
    ) -> None:
        from sklearn.linear_model import RidgeClassifierCV
        from sklearn.pipeline import make_pipeline
        from sklearn.preprocessing import StandardScaler

        self._n_classes = n_classes
        self._model = make_pipeline(StandardScaler(), RidgeClassifierCV(alphas=RIDGE_STRENGTHS * x.shape[1]))
        self._model.fit(x, labels)
        scores = self._scores(valid_x)
        sharpnesses = np.logspace(-1, 2, 16)
        likelihoods = [
            np.log(_softmax(s * scores)[np.arange(len(scores)), valid_labels] + 1e-12).mean()
            for s in sharpnesses
        ]
        self._sharpness = float(sharpnesses[int(np.argmax(likelihoods))])

    def predict_proba(self, x: Array) -> Array:
        return _softmax(self._sharpness * self._scores(x))

    def _scores(self, x: Array) -> Array:
        """(n, classes); classes without a training sequence score far below all others."""
        raw = self._model.decision_function(x)
        raw = np.stack([-raw, raw], axis=1) if raw.ndim == 1 else raw
        scores = np.full((len(x), self._n_classes), -1e3)
        scores[:, self._model.classes_] = raw
        return scores


def _softmax(scores: Array) -> Array:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares: Array = raised / raised.sum(axis=1, keepdims=True)
    return shares


def _summaries(data: LabelledSequences) -> Array:
    """(n, 9 F + 1)."""
    rows = []
    for index in range(len(data)):
        steps = data[index].astype(np.float64)
        filled = np.stack([_filled_or_zero(column) for column in steps.T], axis=1)  # (T, F)
        changes = np.diff(filled, axis=0) if len(filled) > 1 else np.zeros_like(filled)
        facts = [
            filled.mean(axis=0),
            filled.std(axis=0),
            *np.quantile(filled, [0, 0.25, 0.5, 0.75, 1], axis=0),
            filled[-1] - filled[0],
            np.abs(changes).mean(axis=0),
        ]
        rows.append(np.concatenate([*facts, [np.log(len(filled))]]))
    return np.stack(rows)


def _filled_or_zero(column: Array) -> Array:
    return np.zeros(len(column)) if np.isnan(column).all() else _filled(column)


FORECAST_BASELINES: dict[str, Callable[[], ForecastBaseline]] = {
    "naive": Naive,
    "seasonal naive": SeasonalNaive,
    "AutoTheta": lambda: Statistical(_auto_theta, longest_season=None),
    "AutoETS": lambda: Statistical(_auto_ets, longest_season=LONGEST_ETS_SEASON),
    "linear window": LinearWindow,
    "LightGBM": BoostedLags,
}
CLASSIFY_BASELINES: dict[str, Callable[[], ClassifyBaseline]] = {
    "majority": Majority,
    "summary ridge": RidgeOnSummaries,
    "rocket": Rocket,
}
