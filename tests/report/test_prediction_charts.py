from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lamina.report import prediction_charts
from lamina.report.drawing import specification
from lamina.study.verdict import Figures, Forecast, StudyRecord

Rows = Callable[[Any], list[list[dict[str, Any]]]]

OF_A_RECORD = [
    prediction_charts.forecasts,
    prediction_charts.errors_by_step,
    prediction_charts.error_histogram,
    prediction_charts.confusion,
]


@pytest.mark.parametrize("draw", OF_A_RECORD)
def test_a_record_without_the_data_has_no_chart(draw: Any, empty_record: StudyRecord) -> None:
    assert draw(empty_record) is None


def forecast_over(*time: str | int) -> Forecast:
    steps = (1.0,) * (len(time) - 1)
    return Forecast(
        series="a", time=time, history=(None,), truth=steps, median=steps, lo_80=steps, hi_80=steps
    )


@pytest.mark.parametrize(
    ("time", "places", "kind"),
    [
        (("1970-01-01", "1970-01-02"), [0, 86_400_000], "temporal"),
        (("1970-01-01T00:00:00+01:00", "1970-01-01T00:00:01"), [-3_600_000, 1_000], "temporal"),
        ((7, 9), [7, 9], "quantitative"),
        (("spring", "summer"), [0, 1], "quantitative"),
    ],
)
def test_dates_steps_and_other_names_of_time_all_have_a_place(
    time: tuple[str | int, ...], places: list[int], kind: str, baselines_record: StudyRecord, rows_of: Rows
) -> None:
    record = baselines_record.model_copy(update={"figures": Figures(forecasts=(forecast_over(*time),))})
    chart = prediction_charts.forecasts(record)
    (rows,) = rows_of(chart)
    assert [row["at"] for row in rows] == places
    assert [row["when"] for row in rows] == [str(when) for when in time]
    assert chart is not None
    assert specification(chart)["layer"][0]["encoding"]["x"]["type"] == kind
    assert "truth" not in rows[0]  # a missing value has no key, so the line breaks there


def test_every_error_is_counted_once(forecast_record: StudyRecord, rows_of: Rows) -> None:
    bins, _ = rows_of(prediction_charts.error_histogram(forecast_record))
    assert sum(row["count"] for row in bins) == 2_000
    assert len(bins) <= prediction_charts.HISTOGRAM_BINS
