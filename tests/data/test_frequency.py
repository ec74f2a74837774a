from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from lamina.data.frequency import Frequency, infer_frequency
from lamina.errors import ConfigError


def stamps(freq: str, n: int, start: str = "2024-01-31") -> np.ndarray:
    return np.asarray(pd.date_range(start, periods=n, freq=freq).to_numpy(), dtype="M8[us]")


@pytest.mark.parametrize(
    ("pandas_freq", "step", "seasons"),
    [
        ("h", "1h", (24, 168)),
        ("15min", "15m", (96, 672)),
        ("30min", "30m", (48, 336)),
        ("D", "1d", (7,)),
        ("W", "1w", (52,)),
        ("MS", "1mo", (12,)),
        ("ME", "1mo", (12,)),
        ("QS", "1q", (4,)),
        ("YS", "1y", ()),
        ("10s", "10s", ()),
    ],
)
def test_step_and_seasons_are_those_of_the_stamps(
    pandas_freq: str, step: str, seasons: tuple[int, ...]
) -> None:
    time = stamps(pandas_freq, 40)
    found = infer_frequency(time, np.array([0, 40]))
    assert found is not None
    assert (found.step, found.seasons) == (step, seasons)


@pytest.mark.parametrize("pandas_freq", ["h", "D", "MS", "ME", "QE", "YS", "W"])
def test_future_continues_as_pandas_does(pandas_freq: str) -> None:
    time = stamps(pandas_freq, 60)
    found = infer_frequency(time[:40], np.array([0, 40]))
    assert found is not None
    np.testing.assert_array_equal(found.future_times(time[39], 20), time[40:])
    np.testing.assert_array_equal(found.shift(np.repeat(time[39], 40), np.arange(-39, 1)), time[:40])


def test_a_gap_does_not_change_the_step() -> None:
    time = np.delete(stamps("D", 30), [7, 8, 20])
    found = infer_frequency(time, np.array([0, 27]))
    assert found is not None
    assert found.step == "1d"


def test_steps_across_series_are_not_counted() -> None:
    time = np.array([0, 5, 100, 105, 7, 12])
    found = infer_frequency(time, np.array([0, 2, 4, 6]))
    assert found == Frequency("5")


def test_one_row_has_no_step() -> None:
    assert infer_frequency(np.array([3]), np.array([0, 1])) is None


def test_integers_continue_as_integers() -> None:
    assert Frequency("2").future_times(10, 3).tolist() == [12, 14, 16]


def test_the_last_day_of_a_short_month_is_clipped() -> None:
    leap = Frequency.of("1mo").shift(np.array(["2024-01-31"], dtype="M8[us]"), np.array([1]))
    assert str(leap[0])[:10] == "2024-02-29"


def test_round_trip() -> None:
    monthly = Frequency("1mo", (12,), month_end=True)
    assert Frequency.from_dict(monthly.to_dict()) == monthly


@pytest.mark.parametrize("step", ["", "h", "0h", "1 h", "1bd", "-1d", "1.5h"])
def test_an_unreadable_step_is_an_error(step: str) -> None:
    with pytest.raises(ConfigError, match="a step is a count and a unit"):
        Frequency(step)


def test_a_season_of_one_step_is_an_error() -> None:
    with pytest.raises(ConfigError, match="at least 2 steps"):
        Frequency("1h", (1,))
