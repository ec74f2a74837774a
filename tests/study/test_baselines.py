from __future__ import annotations

from dataclasses import replace

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from lamina.data.labelled import LabelledSequences, labelled_sequences
from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import Cuts, split_in_time
from lamina.data.windows import Windows, evaluation_windows
from lamina.study.baselines import (
    CLASSIFY_BASELINES,
    FORECAST_BASELINES,
    BaselineRun,
    run_classify_baseline,
    run_forecast_baseline,
)

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


def test_linear_window_finds_a_linear_recurrence() -> None:
    # y[t] = 2 cos(0.3) y[t-1] - y[t-2] holds for any sine of this frequency
    y = np.sin(0.3 * np.arange(240.0))
    table = table_of(y)
    assert error(run("linear window", table), table) < 1e-3


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


def waves(n: int, seed: int, *, ragged: bool) -> LabelledSequences:
    rng = np.random.default_rng(seed)
    labels = np.arange(n) % 3
    sequences = []
    for label in labels:
        t = np.arange(rng.integers(5, 40) if ragged else 32)
        wave = np.sin(t * (0.4 + 0.5 * label) + rng.uniform(0, 6))
        sequences.append(np.stack([wave + 0.1 * rng.normal(size=len(t)), rng.normal(size=len(t))], axis=1))
    return labelled_sequences(sequences, [f"class {label}" for label in labels])


@pytest.mark.parametrize("name", list(CLASSIFY_BASELINES))
@pytest.mark.parametrize("ragged", [False, True])
def test_classifiers_give_probabilities_that_beat_chance(name: str, ragged: bool) -> None:
    train, valid, test = (waves(n, seed, ragged=ragged) for n, seed in ((90, 0), (30, 1), (60, 2)))
    done = run_classify_baseline(name, train, valid, (test,))
    assert done.outcome == "complete", done.reason
    (shares,) = done.predictions
    assert shares.shape == (60, 3)
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    accuracy = float((shares.argmax(axis=1) == test.labels).mean())
    if name == "majority":
        assert accuracy == pytest.approx(1 / 3)
    else:
        assert accuracy > 0.75


def test_sequences_below_nine_steps_and_missing_values_are_no_fault() -> None:
    rng = np.random.default_rng(3)
    sequences = [np.full(4, float(i % 2)) + 0.1 * rng.normal(size=4) for i in range(20)]
    sequences[3][1] = np.nan
    data = labelled_sequences(sequences, [str(i % 2) for i in range(20)])
    for name in CLASSIFY_BASELINES:
        done = run_classify_baseline(name, data, data, (data,))
        assert done.outcome == "complete", done.reason
        assert np.isfinite(done.predictions[0]).all()


def test_rocket_leaves_torch_as_it_was() -> None:
    import torch

    data = waves(30, 4, ragged=False)
    threads, random = torch.get_num_threads(), torch.get_rng_state()
    run_classify_baseline("rocket", data, data, (data,))
    assert torch.get_num_threads() == threads
    assert torch.equal(torch.get_rng_state(), random)
