from __future__ import annotations

import numpy as np
import polars as pl
import pytest
from numpy.typing import NDArray

from lamina.data.series import SeriesTable, read_series
from lamina.data.splits import Cuts, split_in_time
from lamina.study.checks import CheckResult
from lamina.study.table_checks import check_table

HORIZON = 6
Array = NDArray[np.float64]


def walk(seed: int, n: int = 400) -> Array:
    return np.cumsum(np.random.default_rng(seed).normal(size=n))


def later(y: Array, lag: int) -> Array:
    return np.concatenate([y[lag:], np.full(lag, np.nan)])


def checked(y: Array, column: Array, *, known_ahead: bool = False) -> dict[str, CheckResult]:
    frame = pl.DataFrame({"ds": np.arange(len(y)), "y": y, "column": column})
    future = ("column",) if known_ahead else ()
    return by_code(read_series(frame, target="y", time="ds", future=future))


def by_code(table: SeriesTable) -> dict[str, CheckResult]:
    cuts: Cuts = split_in_time(table, horizon=HORIZON)
    return {result.code: result for result in check_table(table, cuts, horizon=HORIZON)}


@pytest.mark.parametrize("lag", [1, 3, HORIZON])
@pytest.mark.parametrize("known_ahead", [False, True])
def test_target_shifted_back_is_named_with_its_lag(lag: int, known_ahead: bool) -> None:
    y = walk(0)
    result = checked(y, 5 - 2 * later(y, lag), known_ahead=known_ahead)["LK01"]
    assert result.outcome == "fail"
    assert (result.evidence["column"], result.evidence["lag"]) == ("column", lag)
    assert (
        f"column 'column' ({'known ahead' if known_ahead else 'past only'}) holds y of {lag} step"
        in result.sentence
    )


def test_a_leak_with_a_little_noise_is_still_one() -> None:
    y = walk(1)
    noise = np.random.default_rng(2).normal(scale=0.05, size=len(y))
    assert checked(y, later(y, 2) + noise)["LK01"].outcome == "fail"


def test_a_lag_beyond_the_horizon_is_no_leak() -> None:
    y = walk(3)
    assert checked(y, later(y, HORIZON + 1))["LK01"].outcome == "pass"


def test_a_smooth_series_beside_its_like_is_no_alarm() -> None:
    t = np.arange(400)
    y = np.sin(t / 100)
    column = y + np.random.default_rng(4).normal(scale=0.005, size=400)
    assert np.corrcoef(column[:-1], y[1:])[0, 1] > 0.999
    assert checked(y, column)["LK01"].outcome == "pass"


def test_yesterdays_value_is_no_leak() -> None:
    y = walk(5)
    column = np.concatenate([[np.nan], y[:-1]])
    results = checked(y, column, known_ahead=True)
    assert {results["LK01"].outcome, results["LK02"].outcome} == {"pass"}


def test_a_leak_within_each_of_many_series_is_found() -> None:
    series = [walk(seed, 40) for seed in range(8)]
    frame = pl.DataFrame(
        {
            "unique_id": np.repeat(np.arange(8), 40).astype(str),
            "ds": np.tile(np.arange(40), 8),
            "y": np.concatenate(series),
            "column": np.concatenate([later(y, 2) for y in series]),
        }
    )
    result = by_code(read_series(frame, target="y"))["LK01"]
    assert result.evidence["lag"] == 2


def test_a_copy_known_ahead_fails_and_a_copy_of_the_past_is_told() -> None:
    y = walk(6)
    ahead, past = checked(y, 3 * y, known_ahead=True)["LK02"], checked(y, 3 * y)["LK02"]
    assert (ahead.outcome, past.outcome) == ("fail", "warn")
    assert "harmless" in past.sentence


def test_an_unrelated_covariate_passes_every_check_but_the_level() -> None:
    y = np.random.default_rng(7).normal(size=400)
    assert {result.outcome for result in checked(y, walk(8)).values()} == {"pass"}


def test_a_constant_series_among_others_is_a_warning() -> None:
    frame = pl.DataFrame(
        {
            "unique_id": ["a"] * 60 + ["b"] * 60,
            "ds": list(range(60)) * 2,
            "y": np.r_[np.ones(55), 2, 3, 4, 5, 6, walk(9, 60)],
        }
    )
    result = by_code(read_series(frame, target="y"))["LK03"]
    assert (result.outcome, result.evidence["constant"]) == ("warn", 1)
    assert "the first is 'a'" in result.sentence


def test_a_target_constant_in_training_fails() -> None:
    y = np.r_[np.ones(350), walk(10, 50)]
    assert checked(y, walk(11))["LK03"].outcome == "fail"


def test_a_test_part_far_from_training_is_told_with_its_shift() -> None:
    y = np.random.default_rng(12).normal(size=400)
    y[330:] += 4
    result = checked(y, walk(13))["LK04"]
    assert result.outcome == "warn"
    assert result.evidence["shift"] == pytest.approx(4, abs=0.4)
    assert "higher on average" in result.sentence
