"""Coverage, also where the errors change."""

from __future__ import annotations

import numpy as np
import pytest

from lamina.errors import ConfigError
from lamina.streaming.adaptive import STEP, AdaptiveIntervals
from lamina.streaming.state import pack_state, unpack_state


def inside(errors: np.ndarray, level: float) -> np.ndarray:
    intervals, found = AdaptiveIntervals(level), np.zeros(len(errors))
    for row, error in enumerate(errors.tolist()):
        low, high = intervals.around(3.0)
        found[row] = low <= 3.0 + error <= high
        intervals.learn(3.0, 3.0 + error)
    return found


@pytest.mark.parametrize("level", [0.5, 0.8, 0.9])
def test_coverage_holds_where_errors_grow_tenfold_and_drift(level: float) -> None:
    random = np.random.default_rng(0)
    scale = np.repeat([1.0, 10.0, 0.3], 2000)
    errors = random.normal(size=6000) * scale + np.linspace(0, 5, 6000)
    found = inside(errors, level)
    assert abs(found.mean() - level) <= (1 + STEP) / (STEP * len(found)) + 10 / len(found)
    rolling = np.convolve(found, np.ones(500) / 500, "valid")
    assert level - 0.06 <= rolling.min() <= rolling.max() <= level + 0.06


def test_even_worst_errors_are_covered_by_the_bound() -> None:
    errors = 1.01 ** np.arange(2000.0)  # each larger than all before it
    found = inside(errors, 0.9)
    assert abs(found.mean() - 0.9) <= (1 + STEP) / (STEP * len(found)) + 10 / len(found)


@pytest.mark.parametrize("flat", [500, 10_000])
def test_intervals_of_a_series_that_stood_still_suit_what_follows(flat: int) -> None:
    errors = np.append(np.zeros(flat), np.random.default_rng(0).normal(size=2000))
    found = inside(errors, 0.9)
    assert found[:flat].all()
    assert found[flat : flat + 500].mean() >= 0.9 - (1 + STEP) / (STEP * 500)
    assert found[flat + 100 : flat + 600].mean() == pytest.approx(0.9, abs=0.04)
    assert found[flat + 1000 :].mean() == pytest.approx(0.9, abs=0.02)


def test_an_interval_ends_once_enough_errors_are_known() -> None:
    intervals = AdaptiveIntervals(0.9)
    for error in range(19):
        assert not intervals.ready
        assert intervals.around(0.0) == (-np.inf, np.inf)
        assert intervals.score(0.0, 99.0) == 0.0
        intervals.learn(0.0, float(error))
    assert intervals.ready
    assert intervals.around(1.0) == (1.0, 19.0)


def test_the_threshold_of_scores_keeps_alarms_rare_while_errors_grow() -> None:
    intervals, alarms = AdaptiveIntervals(), []
    for row, error in enumerate(np.random.default_rng(0).normal(size=6000).tolist()):
        value = error * (1 + row / 100)
        alarms.append(intervals.score(0.0, value) > intervals.threshold)
        intervals.learn(0.0, value)
    assert np.mean(alarms) == pytest.approx(0.01, abs=0.005)


def test_what_was_learned_is_a_state() -> None:
    random = np.random.default_rng(0)
    one, other = AdaptiveIntervals(), AdaptiveIntervals()
    for error in random.normal(size=700).tolist():
        one.learn(0.0, error)
    other.take(unpack_state(*pack_state(one.state())))
    for error in (3 * random.normal(size=700)).tolist():
        assert other.around(0.0) == one.around(0.0)
        assert other.score(0.0, error) == one.score(0.0, error)
        assert other.threshold == one.threshold
        one.learn(0.0, error)
        other.learn(0.0, error)


def test_score_is_the_share_of_smaller_errors() -> None:
    intervals = AdaptiveIntervals()
    for error in range(1, 101):
        intervals.learn(0.0, error * (-1.0) ** error)
    assert intervals.score(0.0, 1000.0) == 1.0
    assert intervals.score(0.0, 50.5) == 0.5


def test_missing_value_changes_nothing_and_level_is_a_share() -> None:
    intervals = AdaptiveIntervals()
    intervals.learn(0.0, float("nan"))
    assert intervals.rows == 0
    with pytest.raises(ConfigError, match=r"0\.9"):
        AdaptiveIntervals(90)
