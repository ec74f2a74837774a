"""Rows by name as numbers, quickly where they are plain and with every rule where they are not."""

from __future__ import annotations

import math
from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pytest

from lamina.errors import DataError
from lamina.streaming.forecast_rows import CovariateForm, SeriesRowForm, as_number

PLAIN = SeriesRowForm(
    target="cars",
    time="when",
    dated=True,
    past=(CovariateForm("rain", None),),
    future=(CovariateForm("plan", None),),
    fixed=(CovariateForm("lanes", None),),
    may_miss=(False, True, False),
)
HOUR_13 = 1_777_640_400_000_000  # 2026-05-01T13:00 UTC


def row(**change: object) -> dict[str, object]:
    return {"when": "2026-05-01T13:00", "cars": 812.0, "rain": 0.5, "plan": 2.0, "lanes": 3.0, **change}


def test_numbers_come_in_the_order_of_the_table() -> None:
    found = PLAIN.read(dict(reversed(row().items())))
    assert list(found.numbers) == [812.0, 0.5, 2.0, 3.0]
    assert (found.y, found.time) == (812.0, HOUR_13)


@pytest.mark.parametrize("cars", [812, True, np.float32(812), np.int64(812)])
def test_numbers_of_any_kind_are_read_alike(cars: float) -> None:
    assert PLAIN.read(row(cars=cars)).y == float(cars)


def test_missing_values_are_nan_where_they_may_be() -> None:
    for missing in (None, math.nan, np.nan):
        assert math.isnan(PLAIN.read(row(rain=missing)).numbers[1])
        with pytest.raises(DataError, match="'plan' is missing in this row, and was never missing"):
            PLAIN.read(row(plan=missing))


def test_a_row_without_time_has_none() -> None:
    untimed = {name: value for name, value in row().items() if name != "when"}
    assert PLAIN.read(untimed).time is None
    assert PLAIN.read(row(when=None)).time is None


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"cars": "812"}, "'cars' is a number, but is '812'"),
        ({"rain": math.inf}, "'rain' is finite or missing"),
        ({"rain": 10**400}, "'rain' is finite or missing"),
        ({"lanes": -math.inf}, "'lanes' is finite or missing"),
        ({"rian": 1.0}, "this one has 'rian'; did you mean 'rain'"),
    ],
)
def test_what_breaks_a_rule_is_told(change: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        PLAIN.read(row(**change))


def test_a_name_in_place_of_another_is_told() -> None:
    """As many names as a plain row, but not the same."""
    wrong = row(rian=0.5)
    del wrong["rain"]
    with pytest.raises(DataError, match="this one has 'rian'"):
        PLAIN.read(wrong)
    wrong = row(cras=1.0)
    del wrong["when"]
    with pytest.raises(DataError, match="this one has 'cras'"):
        PLAIN.read(wrong)


def test_numbers_that_float32_can_hold_are_read() -> None:
    assert list(PLAIN.read(row(cars=3.4e38, rain=-3.4e38)).numbers) == [3.4e38, -3.4e38, 2.0, 3.0]
    for change in ({"cars": 1e39}, {"rain": -1e200}, {"cars": 1.7e308, "rain": -1.7e308}, {"plan": 10**39}):
        with pytest.raises(DataError, match="as float32 is, but is"):
            PLAIN.read(row(**change))


@pytest.mark.parametrize(
    "when", ["0001-01-01T00:00+05:00", "9999-12-31T23:00-05:00", np.datetime64("200000-01-01")]
)
def test_a_time_beyond_what_can_be_counted_on_from_is_refused(when: object) -> None:
    with pytest.raises(DataError, match="'when' is a date"):
        PLAIN.read(row(when=when))


def test_what_is_known_ahead_is_a_list_of_mappings() -> None:
    for wrong in (5, None, {"plan": 1.0}):
        with pytest.raises(DataError, match="future is a list of mappings"):
            PLAIN.read_ahead(wrong, 2)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(DataError, match="a mapping for each of the next rows, but one is 3"):
        PLAIN.read_ahead([{"plan": 1.0}, 3], 2)  # type: ignore[list-item]  # wrong on purpose


def test_categories_are_a_number_each() -> None:
    form = SeriesRowForm("y", "ds", False, (CovariateForm("wind", ("N", "S")),), (), (), (False, True, True))
    assert list(form.read({"ds": 3, "y": 1.0, "wind": "S"}).numbers) == [1.0, 0.0, 1.0]
    assert list(form.read({"ds": 3, "y": 1.0, "wind": "W"}).numbers) == [1.0, 0.0, 0.0]
    assert np.isnan(form.read({"ds": 3, "y": 1.0, "wind": None}).numbers[1:]).all()
    with pytest.raises(DataError, match="'wind' holds categories, which are text"):
        form.read({"ds": 3, "y": 1.0, "wind": 3.0})


@pytest.mark.parametrize(
    "when",
    [
        "2026-05-01T13:00",
        "2026-05-01 13:00:00",
        "2026-05-01T13:00:00.000000Z",
        "2026-05-01T15:00+02:00",
        datetime(2026, 5, 1, 13),
        datetime(2026, 5, 1, 13, tzinfo=UTC),
        datetime(2026, 5, 1, 8, tzinfo=timezone(timedelta(hours=-5))),
        np.datetime64("2026-05-01T13:00"),
    ],
)
def test_dates_are_read_in_utc(when: object) -> None:
    assert PLAIN.as_time(when) == HOUR_13


def test_dates_without_a_time_and_before_1970_are_read() -> None:
    day = HOUR_13 - 13 * 3_600_000_000
    assert PLAIN.as_time("2026-05-01") == PLAIN.as_time(date(2026, 5, 1)) == PLAIN.as_time("2026-05") == day
    assert PLAIN.as_time("1969-12-31T23:59:59.999999") == -1


@pytest.mark.parametrize(
    "when", ["soon", "now", "NaT", "", "99", 5, 5.0, True, np.datetime64("NaT"), [], "2026-13-01"]
)
def test_what_is_no_date_is_told(when: object) -> None:
    with pytest.raises(DataError, match="'when' is a date, such as"):
        PLAIN.as_time(when)


def test_counts_are_whole_numbers() -> None:
    form = SeriesRowForm("y", "ds", False, (), (), (), (False,))
    assert form.as_time(7) == form.as_time(np.int32(7)) == 7
    for wrong in (7.0, "7", True, None):
        with pytest.raises(DataError, match="'ds' is a whole number, as in training"):
            form.as_time(wrong)


def test_a_number_is_never_text() -> None:
    with pytest.raises(DataError, match="Write it as a number; null where missing"):
        as_number("cars", "812")
