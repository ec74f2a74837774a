from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from lamina.report import cost_chart
from lamina.study.verdict import StudyRecord

Rows = Callable[[Any], list[list[dict[str, Any]]]]


def test_a_record_without_the_data_has_no_chart(empty_record: StudyRecord) -> None:
    assert cost_chart.accuracy_against_cost(empty_record) is None


def test_the_frontier_holds_what_no_faster_method_beats(forecast_record: StudyRecord, rows_of: Rows) -> None:
    points, _limits = rows_of(cost_chart.accuracy_against_cost(forecast_record))
    points = [point for point in points if point["cost"] == "train_s"]
    for point in points:
        faster = [other["mean"] for other in points if other["time"] < point["time"]]
        if point["frontier"]:
            assert point["mean"] < min(faster, default=float("inf"))
    assert {point["name"] for point in points if not point["frontier"]} >= {"naive", "transformer"}
    assert {point["name"] for point in points if "label" in point} >= {"lstm ×2", "LightGBM"}


def test_no_training_time_stands_at_the_shortest_one_shown(
    baselines_record: StudyRecord, rows_of: Rows
) -> None:
    points, _limits = rows_of(cost_chart.accuracy_against_cost(baselines_record))
    points = [point for point in points if point["cost"] == "train_s"]
    times = {point["name"]: (point["time"], point["train"]) for point in points}
    assert times["naive"] == (0.01, "0 s")
    assert {point["parameters_text"] for point in points} == {"–"}


def test_each_cost_has_its_own_points_and_the_rule_of_its_limit(
    forecast_record: StudyRecord, rows_of: Rows
) -> None:
    points, limits = rows_of(cost_chart.accuracy_against_cost(forecast_record))
    assert {limit["cost"]: limit["limit"] for limit in limits if limit["seen"]} == {"latency_us": 20.0}
    held = {point["name"]: point["time"] for point in points if point["cost"] == "latency_us"}
    assert held["lstm ×2"] == 7.0  # nine in ten streamed answers
    assert held["transformer"] == pytest.approx(1733, abs=1)  # cannot stream, so one prediction
    steps = [point for point in points if point["cost"] == "step_us"]
    assert {point["name"] for point in steps} == {"lstm ×1", "lstm ×2", "lstm ×3", "gru ×2"}
