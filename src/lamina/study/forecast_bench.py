"""Forecasting as the ladder sees it."""

from __future__ import annotations

import hashlib
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from lamina.data.series import SeriesTable
from lamina.data.splits import split_in_time
from lamina.data.windows import Windows, evaluation_windows
from lamina.estimators.defaults import training_examples, window_form
from lamina.estimators.forecaster import Forecaster
from lamina.estimators.load import load
from lamina.metrics import METRICS, mase_scale
from lamina.study.bench import SCHEDULE, Array, Job, Run, Trivial
from lamina.study.checks import CheckResult
from lamina.study.cost import PredictCost, predict_cost
from lamina.study.forecast_baselines import FORECAST_BASELINES, run_forecast_baseline
from lamina.study.one_run import train_once
from lamina.study.row_checks import check_rows, fitted_on_training, windows_apart
from lamina.study.rows import draw_windows
from lamina.study.scores import Layout
from lamina.study.space import Design
from lamina.study.table_checks import check_table
from lamina.study.verdict import Data, Figures, Forecast, Metric, Residuals
from lamina.tasks.forecast import PointMetric, mean_error, mean_power, window_errors
from lamina.tasks.forecast_inputs import ForecastInputs
from lamina.tasks.intervals import interval
from lamina.training.optim import TrainingConfig

MOST_WINDOWS = 1500  # evaluation windows a part; enough for an interval, few enough to score often
DRAWN_FORECASTS = 4


class ForecastBench:
    """One table, cut once; all designs share windows, scaling, loss and training settings.

    Args:
        table: the series.
        horizon: steps ahead.
        metric: mase, mae, mse, rmse or smape.
        path: where the table came from, for the record.
    """

    task = "forecast"
    most_steps = 1500

    def __init__(self, table: SeriesTable, *, horizon: int, metric: PointMetric, path: str) -> None:
        self._table, self._horizon, self._metric = table, horizon, metric
        self._cuts = split_in_time(table, horizon=horizon)
        self._input_size, self._segment = window_form(table, self._cuts.train_end, horizon=horizon)
        self._scales = mase_scale(table, self._cuts, table.frequency.season)
        self._validation = self._windows("validation")
        self._test = self._windows("test")
        self.layout = _layout(self._validation, horizon, mean_power(metric))
        self.test_layout = _layout(self._test, horizon, mean_power(metric))
        self.base = Design(hidden=64)
        unit = METRICS[metric].unit
        self.metric = Metric(
            name=metric.upper() if metric != "smape" else "sMAPE", unit=unit, direction="lower"
        )
        self.data = Data(
            path=path,
            rows=table.rows,
            series=table.n_series,
            hash=_hash(table),
            splits=self._cuts.rows,
            target=table.target,
            horizon=horizon,
            season=table.frequency.seasons,
            notes=(
                *table.notes,
                f"each forecast sees {self._input_size} rows"
                + (f", read in segments of {self._segment}" if self._segment > 1 else ""),
                f"{metric} with season {table.frequency.season}" if metric == "mase" else f"metric {metric}",
            ),
        )

    def _windows(self, part: Literal["validation", "test"]) -> Windows:
        """Rolling origins, evenly thinned to about ``MOST_WINDOWS``."""
        sizes = {"input_size": self._input_size, "horizon": self._horizon}
        every = evaluation_windows(self._table, self._cuts, part=part, **sizes)
        if len(every) <= MOST_WINDOWS:
            return every
        stride = -(-len(every) // MOST_WINDOWS)
        return evaluation_windows(self._table, self._cuts, part=part, stride=stride, **sizes)

    def checks(self) -> list[CheckResult]:
        table, cuts = self._table, self._cuts
        sizes = {"input_size": self._input_size, "horizon": self._horizon}
        training, padded = training_examples(table, cuts, **sizes)
        inputs = ForecastInputs.fit(table, cuts, padded=padded)
        rows = cuts.train_mask(table)
        return [
            *check_table(table, cuts, horizon=self._horizon),
            *check_rows(table, cuts),
            windows_apart(training, self._validation, self._test),
            fitted_on_training(inputs.past, table.past, rows),
            fitted_on_training(inputs.future, table.future, rows),
        ]

    def train(self, job: Job) -> Run:
        model = self._model(job)
        draw = partial(draw_windows, share=job.design.rows, generator=job.draw)
        return train_once(
            job,
            model,
            lambda callbacks: model.fit_table(self._table, self._cuts, draw=draw, callbacks=callbacks),
            errors=lambda: model.errors(self._validation),
            summary=self.summary,
            higher_is_better=False,
        )

    def _model(self, job: Job) -> Forecaster:
        training = TrainingConfig(
            max_steps=job.max_steps,
            max_seconds=job.max_seconds,
            learning_rate=job.settings.learning_rate,
            batch_size=128,
            validations=10,
            patience=6,
            schedule=SCHEDULE,
            clip_norm=1.0 if job.design.clip else None,
        )
        return Forecaster(
            horizon=self._horizon,
            input_size=self._input_size,
            segment=self._segment,
            stack=job.design.body(job.settings.dropout),
            attention=job.design.attention,
            metric=self._metric,
            training=training,
            seed=job.seed,
        )

    def trivial(self, seconds: float, seed: int) -> list[Trivial]:
        found = []
        for place, name in enumerate(FORECAST_BASELINES):
            run = run_forecast_baseline(
                name,
                self._table,
                self._cuts,
                (self._validation, self._test),
                deadline_s=max(1.0, seconds / (len(FORECAST_BASELINES) - place)),
                seed=seed,
            )
            seconds -= run.train_s + run.predict_s
            validation, test = run.predictions or (np.zeros((0, self._horizon)),) * 2
            scored = self._scored(validation, self._validation) if run.predictions else np.zeros(0)
            found.append(
                Trivial(
                    id=name,
                    validation=scored,
                    test_prediction=test,
                    train_s=run.train_s,
                    predict_ms=1000 * run.predict_s / max(1, len(validation) + len(test)),
                    note="; ".join(dict.fromkeys(run.notes)),
                    failed=run.reason,
                )
            )
        return found

    def trivial_test_errors(self, method: Trivial) -> Array:
        return self._scored(method.test_prediction, self._test)

    def _scored(self, forecast: Array, windows: Windows) -> Array:
        """Scores by window; NaN where the method gave no forecast."""
        errors = window_errors(self._metric, _targets(windows), forecast, self._scales[windows.series])
        return np.where(np.isfinite(forecast).all(axis=1), errors, np.nan)

    def summary(self, errors: Array) -> float:
        return mean_error(self._metric, errors)

    def test_errors(self, folder: Path) -> Array:
        return _forecaster(folder).errors(self._test)

    def predict_cost(self, folder: Path) -> PredictCost:
        model, shown = _forecaster(folder), self._validation

        def first(count: int) -> Windows:
            chosen = np.arange(count) % len(shown)
            return Windows(
                self._table, self._input_size, self._horizon, shown.origins[chosen], shown.series[chosen]
            )

        return predict_cost(lambda n: model.predict_windows(first(n)), folder)

    def figures(self, folder: Path) -> Figures:
        model = _forecaster(folder)
        quantiles = model.predict_windows(self._test)
        median = quantiles[..., model.config_.quantiles.index(0.5)]
        gaps = _targets(self._test) - median
        known = gaps[np.isfinite(gaps)]
        sample = known[np.linspace(0, len(known) - 1, min(500, len(known))).astype(int)]
        shown = np.unique(np.linspace(0, len(self._test) - 1, DRAWN_FORECASTS).astype(int))
        return Figures(
            forecasts=tuple(self._drawn(model, int(index), quantiles[index]) for index in shown),
            residuals=Residuals(
                mae_by_step=tuple(np.nanmean(np.abs(gaps), axis=0).tolist()), sample=tuple(sample.tolist())
            ),
        )

    def _drawn(self, model: Forecaster, index: int, quantiles: Array) -> Forecast:
        batch = self._test.batch(np.array([index]))
        history = min(self._input_size, 3 * self._horizon)
        levels = model.config_.quantiles
        lo_80, hi_80 = interval(levels, quantiles, 80)
        lo_95, hi_95 = interval(levels, quantiles, 95)
        name = self._table.ids[int(batch.series[0])] or self._table.target
        time = batch.time[0, self._input_size - history :]
        return Forecast(
            series=name,
            time=tuple(int(t) if time.dtype.kind == "i" else str(t.astype("M8[s]")) for t in time),
            history=tuple(batch.past_y[0, self._input_size - history :].tolist()),
            truth=tuple(batch.target[0].tolist()),
            median=tuple(quantiles[:, levels.index(0.5)].tolist()),
            lo_80=tuple(lo_80.tolist()),
            hi_80=tuple(hi_80.tolist()),
            lo_95=tuple(lo_95.tolist()),
            hi_95=tuple(hi_95.tolist()),
        )

    def refit(self, folder: Path, *, steps: int, max_seconds: float, out: Path) -> None:
        _forecaster(folder).refit_table(self._table, steps=steps, max_seconds=max_seconds).save(out)


def _forecaster(folder: Path) -> Forecaster:
    model = load(folder)
    assert isinstance(model, Forecaster)
    return model


def _targets(windows: Windows) -> Array:
    return windows.batch(slice(None)).target


def _layout(windows: Windows, horizon: int, power: float) -> Layout:
    same = windows.series[1:] == windows.series[:-1]
    steps = np.diff(windows.origins)[same]
    stride = int(np.median(steps)) if len(steps) else horizon
    return Layout(series=windows.series, block_windows=max(1, round(horizon / stride)), power=power)


def _hash(table: SeriesTable) -> str:
    digest = hashlib.sha256()
    arrays: list[NDArray[np.generic]] = [table.y, table.starts, table.past, table.future, table.static]
    for array in arrays:
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
