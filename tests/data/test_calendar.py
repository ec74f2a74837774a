from __future__ import annotations

import numpy as np
import pytest

from lamina.data.calendar import calendar_features, calendar_names
from lamina.data.frequency import Frequency


@pytest.mark.parametrize(
    ("step", "cycles"),
    [
        ("15m", ("hour_of_day", "day_of_week", "day_of_year")),
        ("1d", ("day_of_week", "day_of_year")),
        ("1w", ("day_of_year",)),
        ("1q", ("month_of_year",)),
        ("1y", ()),
        ("1", ()),
    ],
)
def test_the_step_decides_the_columns(step: str, cycles: tuple[str, ...]) -> None:
    names = calendar_names(Frequency(step))
    assert (
        len(names)
        == len(set(names))
        == calendar_features(np.array(["2024-01-01"], "M8[us]"), Frequency(step)).shape[1]
    )
    assert tuple(name for name in names if name.count("_") == 3 and not name[-1].isdigit()) == tuple(
        f"{wave}_{cycle}" for cycle in cycles for wave in ("sin", "cos")
    )


def test_features_by_hand() -> None:
    # 2024-01-01 is a Monday; 06:00 is a quarter of the day; Thursday is 3/7 of the week.
    time = np.array(["2024-01-01T06:00", "2024-01-04T18:00"], dtype="M8[us]")
    found = calendar_features(time, Frequency("1h"))
    third = 2 * np.pi * 3 / 7
    year = 2 * np.pi * 3 / 366
    harmonics = [wave(harmonic * year) for harmonic in range(1, 7) for wave in (np.sin, np.cos)]
    expected = [[1, 0, 0, 1, *[0, 1] * 6], [-1, 0, np.sin(third), np.cos(third), *harmonics]]
    np.testing.assert_allclose(found, expected, atol=1e-6)
    assert found.dtype == np.float32


def test_months_by_hand() -> None:
    time = np.array([["1950-01-01", "1969-04-30"], ["2024-07-01", "2024-10-01"]], dtype="M8[us]")
    found = calendar_features(time, Frequency("1mo"))
    np.testing.assert_allclose(found, [[[0, 1], [1, 0]], [[0, -1], [-1, 0]]], atol=1e-6)


def test_stamps_before_the_epoch_have_the_right_weekday() -> None:
    monday = np.array(["1900-01-01"], dtype="M8[us]")
    np.testing.assert_allclose(calendar_features(monday, Frequency("1d"))[0, :2], [0, 1], atol=1e-6)


def test_counted_time_has_no_columns() -> None:
    assert calendar_features(np.zeros((3, 4), np.int64), Frequency("1")).shape == (3, 4, 0)
