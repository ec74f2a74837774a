from __future__ import annotations

from typing import Any

import pytest

from lamina.report import charts
from lamina.report.points import LONGEST_CURVE
from lamina.study.verdict import Candidate, Curve, Figures, Forecast, StudyRecord

OF_A_RECORD = [
    charts.accuracy_against_cost,
    charts.training_curves,
    charts.gradient_norms,
    charts.forecasts,
    charts.errors_by_step,
    charts.error_histogram,
    charts.confusion,
]


def rows_of(chart: charts.Drawing | None) -> list[list[dict[str, Any]]]:
    """The data sets that travel in a chart, largest first."""
    assert chart is not None
    return sorted(charts.specification(chart)["datasets"].values(), key=len, reverse=True)


@pytest.mark.parametrize("draw", OF_A_RECORD)
def test_a_record_without_the_data_has_no_chart(draw: Any, empty_record: StudyRecord) -> None:
    assert draw(empty_record) is None


def test_a_question_without_arms_has_no_chart(forecast_record: StudyRecord) -> None:
    verdict = forecast_record.questions[0].model_copy(update={"arms": (), "chosen": None})
    assert charts.question_scores(forecast_record, verdict) is None
    assert charts.question_costs(forecast_record, verdict) is None


def test_only_the_chosen_arm_is_drawn_as_the_answer(forecast_record: StudyRecord) -> None:
    (bars,) = rows_of(charts.question_costs(forecast_record, forecast_record.questions[0]))
    assert [(row["arm"], row["train_s"], row["role"]) for row in bars] == [
        ("lstm ×1", 9, "other"),
        ("lstm ×2", 14, "answer"),
        ("lstm ×3", 21, "other"),
        ("lstm ×4", 28, "other"),
    ]


def test_the_frontier_holds_what_no_faster_method_beats(forecast_record: StudyRecord) -> None:
    points, _limits = rows_of(charts.accuracy_against_cost(forecast_record))
    points = [point for point in points if point["cost"] == "train_s"]
    for point in points:
        faster = [other["mean"] for other in points if other["time"] < point["time"]]
        if point["frontier"]:
            assert point["mean"] < min(faster, default=float("inf"))
    assert {point["name"] for point in points if not point["frontier"]} >= {"naive", "transformer"}
    assert {point["name"] for point in points if "label" in point} >= {"lstm ×2", "LightGBM"}


def test_no_training_time_stands_at_the_shortest_one_shown(baselines_record: StudyRecord) -> None:
    points, _limits = rows_of(charts.accuracy_against_cost(baselines_record))
    points = [point for point in points if point["cost"] == "train_s"]
    times = {point["name"]: (point["time"], point["train"]) for point in points}
    assert times["naive"] == (0.01, "0 s")
    assert {point["parameters_text"] for point in points} == {"–"}


def test_each_cost_has_its_own_points_and_the_rule_of_its_limit(forecast_record: StudyRecord) -> None:
    points, limits = rows_of(charts.accuracy_against_cost(forecast_record))
    assert {limit["cost"]: limit["limit"] for limit in limits if limit["seen"]} == {"step_us": 20.0}
    steps = [point for point in points if point["cost"] == "step_us"]
    assert {point["name"] for point in steps} == {"lstm ×1", "lstm ×2", "lstm ×3", "gru ×2"}


def test_the_learning_curve_goes_on_to_twice_the_rows(forecast_record: StudyRecord) -> None:
    verdict = forecast_record.questions[-1]
    rows = rows_of(charts.learning_curve(forecast_record, verdict))
    laws = next(part for part in rows if "law" in part[0])
    a, b, c = verdict.curves[0].law
    last = [row for row in laws if row["model"] == "lstm ×2"][-1]
    assert (last["share"], last["law"]) == (2.0, pytest.approx(c + a * 2**-b, rel=1e-4))
    fan = next(part for part in rows if "low" in part[0])
    ends = [row for row in fan if row["model"] == "lstm ×2"][-1]
    assert ends["low"] / ends["high"] == pytest.approx(0.99 / 0.95, rel=1e-3)
    assert charts.learning_curve(forecast_record, forecast_record.questions[0]) is None


def test_long_curves_are_thinned_to_their_last_point(forecast_record: StudyRecord) -> None:
    steps = tuple(range(1, 1_001))
    losses = tuple(1 / step for step in steps)
    curve = Curve(seed=0, steps=steps, train=losses, validation=losses)
    candidate = Candidate(id="lstm-2", label="lstm ×2", curves=(curve,))
    record = forecast_record.model_copy(update={"candidates": (candidate,), "questions": ()})
    (points,) = rows_of(charts.training_curves(record))
    assert len(points) <= 2 * LONGEST_CURVE
    assert points[-1] == {"id": "lstm-2", "seed": 0, "step": 1_000, "part": "validation", "loss": 0.001}


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
    time: tuple[str | int, ...], places: list[int], kind: str, baselines_record: StudyRecord
) -> None:
    record = baselines_record.model_copy(update={"figures": Figures(forecasts=(forecast_over(*time),))})
    chart = charts.forecasts(record)
    (rows,) = rows_of(chart)
    assert [row["at"] for row in rows] == places
    assert [row["when"] for row in rows] == [str(when) for when in time]
    assert chart is not None
    assert charts.specification(chart)["layer"][0]["encoding"]["x"]["type"] == kind
    assert "truth" not in rows[0]  # a missing value has no key, so the line breaks there


def test_every_error_is_counted_once(forecast_record: StudyRecord) -> None:
    bins, _ = rows_of(charts.error_histogram(forecast_record))
    assert sum(row["count"] for row in bins) == 2_000
    assert len(bins) <= charts.HISTOGRAM_BINS
