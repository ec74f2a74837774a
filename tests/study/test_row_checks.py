from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from lamina.data.scaling import Standardizer
from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import split_in_time
from lamina.data.windows import evaluation_windows, training_windows
from lamina.study.checks import CheckResult
from lamina.study.row_checks import check_rows, fitted_on_training, windows_apart

HORIZON = 6
Array = NDArray[np.float64]


def rising(seed: int = 0, n: int = 600) -> Array:
    return np.asarray(np.cumsum(np.random.default_rng(seed).normal(0.1, 1.0, n)), np.float64)


def table(y: Array, **columns: Array) -> SeriesTable:
    return read_series(pl.DataFrame({"ds": np.arange(len(y)), "y": y, **columns}))


def by_code(found: SeriesTable) -> dict[str, CheckResult]:
    return {result.code: result for result in check_rows(found, split_in_time(found, horizon=HORIZON))}


def test_values_as_measured_pass() -> None:
    assert {result.outcome for result in by_code(table(rising(), other=rising(1))).values()} == {"pass"}


@pytest.mark.parametrize("ddof", [0, 1])
def test_scaling_over_all_rows_is_told_and_scaling_over_training_is_not(ddof: int) -> None:
    y = rising()
    training = y[: split_in_time(table(y), horizon=HORIZON).train_end[0]]
    seen = by_code(table((y - y.mean()) / y.std(ddof=ddof)))["SC01"]
    assert (seen.outcome, seen.evidence["name"]) == ("warn", "y")
    unseen = by_code(table((y - training.mean()) / training.std(ddof=ddof)))["SC01"]
    assert unseen.outcome == "pass"


def test_a_range_of_0_to_1_is_told_only_where_a_later_row_sets_it() -> None:
    y = rising()
    y[10], y[20] = -50.0, 500.0
    assert by_code(table((y + 50) / 550))["SC01"].outcome == "pass"
    y[20], y[-5] = 0.0, 500.0
    assert by_code(table((y + 50) / 550))["SC01"].outcome == "warn"
    share = by_code(table(rising(), holiday=(np.arange(600) > 590).astype(float)))["SC01"]
    assert share.outcome == "pass"  # an indicator is no scaled column


def test_rows_in_no_order_are_told() -> None:
    y = rising()
    assert by_code(table(np.random.default_rng(0).permutation(y)))["TM01"].outcome == "warn"
    y[::3] = np.nan
    assert by_code(table(y))["TM01"].outcome == "pass"
    assert by_code(table(rising(0, 40)))["TM01"].evidence["series"] == 0


def test_pasted_rows_are_told_with_their_share() -> None:
    y = rising()
    y[500:550] = y[100:150]
    pasted = by_code(table(y))["WN02"]
    later = 600 - split_in_time(table(y), horizon=HORIZON).train_end[0]
    assert pasted.outcome == "warn"
    assert pasted.evidence["share"] == pytest.approx((50 - 23) / (later - 23))


def test_a_foreign_scaler_is_found() -> None:
    values = np.stack([rising(), rising(1)], axis=1)
    training = np.arange(600) < 400
    assert fitted_on_training(Standardizer.fit(values[training]), values, training).outcome == "pass"
    assert fitted_on_training(Standardizer.fit(values[:401]), values, training).outcome == "fail"


def test_windows_of_parts_forecast_different_rows() -> None:
    found = table(rising())
    sizes = {"input_size": 12, "horizon": HORIZON}
    cuts = split_in_time(found, horizon=HORIZON)
    late = split_in_time(found, horizon=HORIZON, validation=85)
    validation, test = (
        evaluation_windows(found, cuts, part="validation", **sizes),
        evaluation_windows(found, cuts, part="test", **sizes),
    )
    assert windows_apart(training_windows(found, cuts, **sizes), validation, test).outcome == "pass"
    reaching = windows_apart(training_windows(found, late, **sizes), validation, test)
    assert (reaching.outcome, reaching.evidence["rows"]) == ("fail", 5)
