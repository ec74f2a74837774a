from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import Cuts, split_in_time
from lamina.data.windows import Windows, evaluation_windows
from lamina.study.baselines import BaselineRun
from lamina.study.forecast_baselines import FORECAST_BASELINES, run_forecast_baseline

HORIZON, INPUT_SIZE = 5, 21
Array = NDArray[np.float64]


def table_of(*series: Array) -> SeriesTable:
    """Daily series, so that the season is 7."""
    frame = pl.concat(
        pl.DataFrame(
            {
                "unique_id": [str(i)] * len(y),
                "ds": np.datetime64("2024-01-01") + np.arange(len(y)),
                "y": y,
            }
        )
        for i, y in enumerate(series)
    )
    return read_series(frame, target="y")


def weekly(seed: int, n: int = 240, noise: float = 0.1) -> Array:
    rng = np.random.default_rng(seed)
    return 10 + np.tile(rng.normal(size=7), n // 7 + 1)[:n] + noise * rng.normal(size=n)


def parts_of(table: SeriesTable, stride: int = 1) -> tuple[Cuts, Windows, Windows]:
    cuts = split_in_time(table, horizon=HORIZON)
    valid, test = (
        evaluation_windows(table, cuts, part=part, input_size=INPUT_SIZE, horizon=HORIZON, stride=stride)
        for part in ("validation", "test")
    )
    return cuts, valid, test


def run(name: str, table: SeriesTable, *, stride: int = 3, deadline_s: float = 20.0) -> BaselineRun:
    cuts, valid, test = parts_of(table, stride)
    return run_forecast_baseline(name, table, cuts, (valid, test), deadline_s=deadline_s)


def error(done: BaselineRun, table: SeriesTable, stride: int = 3) -> float:
    _, _, test = parts_of(table, stride)
    return float(np.nanmean(np.abs(done.predictions[1] - test.batch(slice(None)).target)))


def test_naive_repeats_the_last_observed_value() -> None:
    y = weekly(0)
    y[-6] = np.nan
    table = table_of(y)
    _, _, test = parts_of(table)
    found = run("naive", table, stride=1).predictions[1]
    # the last window begins after the missing value
    assert test.origins[-1] == len(y) - HORIZON
    assert found[-1].tolist() == [y[-7]] * HORIZON
    assert found[0].tolist() == [y[test.origins[0] - 1]] * HORIZON


def test_seasonal_naive_goes_back_whole_seasons_past_missing_values() -> None:
    y = weekly(1)
    y[len(y) - HORIZON - 7] = np.nan
    found = run("seasonal naive", table_of(y), stride=1).predictions[1]
    first = len(y) - HORIZON
    expected = [y[first - 14], *y[first - 6 : first - 7 + HORIZON]]
    assert found[-1].tolist() == expected


@pytest.mark.parametrize("name", ["AutoTheta", "AutoETS", "linear window", "LightGBM"])
def test_a_season_is_learnt_better_than_naive(name: str) -> None:
    table = table_of(weekly(2), weekly(3))
    done = run(name, table)
    assert done.outcome == "complete", done.reason
    assert error(done, table) < 0.5 * error(run("naive", table), table)


@pytest.mark.parametrize("name", list(FORECAST_BASELINES))
def test_the_future_does_not_move_a_forecast(name: str) -> None:
    table = table_of(weekly(4))
    cuts, _, test = parts_of(table, stride=10)
    model = FORECAST_BASELINES[name]()
    model.fit(table, cuts, input_size=INPUT_SIZE, horizon=HORIZON, deadline_s=20, seed=0)
    before = model.predict(test)
    changed = table.y.copy()
    changed[test.origins[0] :] += 100
    moved = replace(table, y=changed)
    after = model.predict(replace(test, table=moved))
    np.testing.assert_array_equal(before[0], after[0])
    assert not np.array_equal(before[-1], after[-1])


@pytest.mark.parametrize("name", list(FORECAST_BASELINES))
def test_test_rows_do_not_move_the_fit(name: str) -> None:
    table = table_of(weekly(5))
    cuts, valid, _ = parts_of(table, stride=10)
    changed = table.y.copy()
    changed[cuts.validation_end[0] :] = 1e6
    found = []
    for one in (table, replace(table, y=changed)):
        model = FORECAST_BASELINES[name]()
        model.fit(one, cuts, input_size=INPUT_SIZE, horizon=HORIZON, deadline_s=20, seed=0)
        found.append(model.predict(valid))
    np.testing.assert_array_equal(found[0], found[1])


@pytest.mark.parametrize("name", list(FORECAST_BASELINES))
def test_missing_values_still_give_finite_forecasts(name: str) -> None:
    y = weekly(6)
    y[np.random.default_rng(7).choice(len(y), 40, replace=False)] = np.nan
    done = run(name, table_of(y), stride=10)
    assert done.outcome == "complete", done.reason
    assert np.isfinite(done.predictions[1]).all()


def test_a_short_deadline_leaves_windows_out_and_says_so() -> None:
    table = table_of(*[weekly(seed) for seed in range(3)])
    done = run("AutoETS", table, stride=1, deadline_s=0.001)
    assert done.outcome == "complete", done.reason
    missing = np.isnan(done.predictions[1])
    assert missing.any(axis=1).tolist() == missing.all(axis=1).tolist()
    assert 0 < missing[:, 0].sum() < len(missing)
    assert any("of 3 series in its time" in note for note in done.notes)
    assert any("origins, drawn at random, in its time" in note for note in done.notes)


def test_a_failure_is_an_outcome_with_its_reason() -> None:
    y = weekly(8)
    table = table_of(y)
    cuts, valid, test = parts_of(table)
    empty = replace(table, y=np.full_like(y, np.nan))
    done = run_forecast_baseline("AutoETS", empty, cuts, (valid, test), deadline_s=5)
    assert (done.outcome, done.predictions) == ("failed", ())
    assert "no series could be fitted" in done.reason
